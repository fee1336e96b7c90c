"""The one folder that holds a run's results, and the only place that knows its file names."""

from dataclasses import dataclass
from pathlib import Path

from helpers.colab import home_folder
from helpers.errors import MissingStepError

PROJECT_FOLDER = Path(__file__).resolve().parents[1]
"""Where the code, the notebooks and the sample calls are."""

SAMPLE_DATA = PROJECT_FOLDER / "sample_data"
"""The synthetic calls that ship with the project."""


@dataclass(frozen=True)
class Workspace:
    """Paths of everything a run reads and writes.

    Attributes:
        folder: the workspace's folder, absolute
    """

    folder: Path

    @property
    def dataset(self) -> Path:
        """Recordings taken from zips and folders, as PCM WAV."""
        return self.folder / "dataset"

    @property
    def audio_data(self) -> Path:
        """Recordings that came through the form, with their status in the name."""
        return self.folder / "audio_data"

    @property
    def conversions(self) -> Path:
        """What each recording in `dataset` was made from."""
        return self.dataset / "conversions.csv"

    @property
    def records(self) -> Path:
        """One row per distinct recording."""
        return self.folder / "CallRecords.csv"

    @property
    def rejected_files(self) -> Path:
        """Every input that was not used, with the reason and the step."""
        return self.folder / "rejected_files.csv"

    @property
    def decisions(self) -> Path:
        """Recordings met under two statuses, and what people decided about them."""
        return self.folder / "decisions.csv"

    @property
    def decisions_lock(self) -> Path:
        """Held by whoever is changing `decisions.csv`."""
        return self.folder / ".decisions.lock"

    @property
    def feature_cache(self) -> Path:
        """Features of each recording, by feature set and content hash."""
        return self.folder / "features"

    @property
    def voice_emotions(self) -> Path:
        """Model of emotions fitted to a corpus, where notebook 09 has put one."""
        return self.folder / "voice_emotions.npz"

    @property
    def upset_scores(self) -> Path:
        """How upset each recording in `dataset` ends, as notebook 09 hears it."""
        return self.folder / "upset_scores.csv"

    @property
    def call_stories(self) -> Path:
        """One row a call: who spoke, how the customer's mood went, when it turned."""
        return self.folder / "call_story.csv"

    @property
    def stories(self) -> Path:
        """A page a call, a page an agent, and a list of them."""
        return self.folder / "stories"

    @property
    def listening(self) -> Path:
        """Whether the customer alone is listened to, and how the customer is found."""
        return self.folder / "listening.json"

    @property
    def voice_networks(self) -> Path:
        """Networks that notebook 09 has trained on parts of a corpus and on all of it."""
        return self.folder / "voice_networks"

    @property
    def segments_info(self) -> Path:
        """List of dictionaries, one a segment, as the earlier notebook wrote it."""
        return self.folder / "segments_info.pkl"

    @property
    def feature_data(self) -> Path:
        """Feature matrix, one row a segment."""
        return self.folder / "feature_data.npy"

    @property
    def feature_labels(self) -> Path:
        """Status of each row of the feature matrix."""
        return self.folder / "feature_labels.npy"

    @property
    def features(self) -> Path:
        """Matrix and labels in one file: `{'data', 'labels'}`."""
        return self.folder / "features.pkl"

    @property
    def evaluation(self) -> Path:
        """Scores of the first model, by split."""
        return self.folder / "evaluation.json"

    @property
    def form_ledger(self) -> Path:
        """What became of every upload of the form."""
        return self.folder / "form_ledger.csv"

    @property
    def form_downloads(self) -> Path:
        """Uploads that are being fetched."""
        return self.folder / "form_downloads"

    @property
    def form_lock(self) -> Path:
        """Held by the run that is working on the form."""
        return self.folder / ".form.lock"

    @property
    def form_run(self) -> Path:
        """Counts of the last run over the form."""
        return self.reports / "form_run.json"

    @property
    def feature_data_updated(self) -> Path:
        """Feature matrix with the feedback's segments."""
        return self.folder / "feature_data_updated.npy"

    @property
    def feature_labels_updated(self) -> Path:
        """Labels with the feedback's."""
        return self.folder / "feature_labels_updated.npy"

    @property
    def predictions(self) -> Path:
        """What was predicted for each call of the form before the model learned from it."""
        return self.folder / "predictions.csv"

    @property
    def run_lock(self) -> Path:
        """Held by the command that runs notebooks on this workspace."""
        return self.folder / ".run.lock"

    @property
    def reports(self) -> Path:
        """Executed notebooks and the summary page."""
        return self.folder / "reports"

    @property
    def models(self) -> Path:
        """Every version of the model, a folder each, and what was decided about them."""
        return self.folder / "models"

    @property
    def zoo(self) -> "Workspace":
        """Workspace in the workspace: versions of models of emotions, to compare and ask."""
        return Workspace(self.folder / "zoo")

    @property
    def golden_set(self) -> Path:
        """The calls every promotion is judged on."""
        return self.folder / "golden_set.json"

    @property
    def review_list(self) -> Path:
        """Calls a person should listen to, with the reason."""
        return self.folder / "review_list.csv"

    @property
    def cluster_names(self) -> Path:
        """What people call each cluster of calls that sound alike."""
        return self.folder / "cluster_names.csv"

    @property
    def cluster_labels(self) -> Path:
        """The cluster of each call without a status, and what its name makes of it."""
        return self.folder / "cluster_labels.csv"

    def exports(self, name: str = "") -> tuple[Path, Path]:
        """Classifier and scaler of the champion, under the names whose stem ends in `name`."""
        return (
            self.folder / f"emotion_model{name}.joblib",
            self.folder / f"scaler{name}.joblib",
        )

    def relative(self, path: Path) -> str:
        """Name a file of the workspace by its path in it, with forward slashes."""
        return path.relative_to(self.folder).as_posix()


def open_workspace(folder: Path | str | Workspace) -> Workspace:
    """Open a workspace; its folder is created where it does not exist.

    Args:
        folder: absolute, or relative to the project (in Colab: to `call-emotion` on Drive), so
            that every notebook finds the same workspace

    Returns:
        the workspace
    """
    if isinstance(folder, Workspace):
        return folder
    path = resolve(folder)
    path.mkdir(parents=True, exist_ok=True)
    return Workspace(path)


def resolve(folder: Path | str) -> Path:
    """Make a notebook's folder parameter absolute.

    Args:
        folder: absolute, with `~`, or relative to the project (in Colab: to `call-emotion` on
            Drive); `sample_data` and what is below it always mean the project's own sample

    Returns:
        absolute path, which need not exist
    """
    path = Path(folder).expanduser()
    if path.parts[:1] == (SAMPLE_DATA.name,):
        return PROJECT_FOLDER / path
    return (home_folder(default=PROJECT_FOLDER) / path).resolve()


def require(path: Path, notebook: str) -> Path:
    """Return `path` if it exists.

    Args:
        path: a file an earlier notebook writes
        notebook: which one, such as `02`

    Raises:
        MissingStepError: where it does not exist, naming the notebook to run
    """
    if not path.exists():
        raise MissingStepError(f"{path} is not there yet: run notebook {notebook} first")
    return path
