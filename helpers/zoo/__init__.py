"""The models and features that other projects use, on the same footing as ours."""
