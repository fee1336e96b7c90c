"""Everything one recording tells at once: the verdict, who spoke when, and how the mood went."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from helpers.calibration import COVERAGE
from helpers.call_emotions import ACTED_BANNER
from helpers.conversation.judges import EmotionJudge, Judge, find_judge
from helpers.conversation.roles import Roles
from helpers.conversation.story import Story, tell_call
from helpers.conversation.storybook import settle_roles
from helpers.model_store import find_champion, load_champion, load_version
from helpers.prediction import PROBABILITIES, judge_call
from helpers.statuses import STATUSES
from helpers.trained_model import TrainedModel
from helpers.workspace import Workspace


class Verdict(NamedTuple):
    """What is heard in one recording.

    Attributes:
        row: the columns of `helpers.prediction.COLUMNS`
        story: turns and mood; its row holds the columns that the sound itself tells
        version: of the model that judged
        banner: what has to be said beside the mood, empty for nothing
    """

    row: dict[str, object]
    story: Story
    version: str
    banner: str

    @property
    def probabilities(self) -> dict[str, float]:
        """Calibrated probability of each status, as the call's end sounds."""
        return {
            status: float(self.row[column])
            for status, column in zip(STATUSES, PROBABILITIES, strict=True)
        }


@dataclass(frozen=True)
class Listener:
    """Models of one workspace, loaded once and asked about many recordings.

    Attributes:
        model: gives the verdict
        judge: hears the mood
        roles: how customer and agent are told apart
    """

    model: TrainedModel
    judge: Judge
    roles: Roles

    def judge_recording(self, path: Path | str, *, coverage: float = COVERAGE) -> Verdict:
        """Judge one recording.

        Args:
            path: any recording that `helpers.audio.open_recording` reads
            coverage: share of calls the model shall judge alone, 0 to 1

        Returns:
            the verdict, with the story beside it

        Raises:
            AudioError: where the recording cannot be read or judged
            ValueError: where the coverage is no share
        """
        least = self.model.least_confidence(coverage)
        row = judge_call(path, self.model, least_confidence=least)
        story = tell_call(path, judge=self.judge, roles=self.roles)
        verdict = {"status": row["status"], "p_unsatisfied": round(row["p_unsatisfied"], 3)}
        banner = ACTED_BANNER if isinstance(self.judge, EmotionJudge) else ""
        version = self.model.version or self.model.training_hash
        return Verdict(row, story._replace(row=story.row | verdict), version, banner)


def open_listener(workspace: Workspace, version: str = "") -> Listener:
    """Load what judges the calls of a workspace.

    Args:
        workspace: with a trained model
        version: of the model, the champion by default

    Raises:
        ModelError: where there is no such model, or it cannot be used
        RolesError: where the model hears another person as customer than the settings say
        ImportError: where the model of emotions holds a network and PyTorch is missing
    """
    is_champion = not version or version == find_champion(workspace)
    model = load_champion(workspace) if is_champion else load_version(workspace, version)
    return Listener(model, find_judge(workspace, model=model), settle_roles(workspace, model=model))
