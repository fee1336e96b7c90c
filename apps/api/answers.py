"""What the service answers, as OpenAPI describes it."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["satisfied", "average", "unsatisfied"]
"""How the customer leaves."""

PREDICTION_EXAMPLE = {
    "status": "unsatisfied",
    "probabilities": {"satisfied": 0.04, "average": 0.14, "unsatisfied": 0.82},
    "confidence": 0.82,
    "needs_human": False,
    "start": {"status": "average", "start_s": 0.0, "end_s": 20.0},
    "end": {"status": "unsatisfied", "start_s": 37.0, "end_s": 62.0},
    "trend": "worsening",
    "upset_s": 14.5,
    "upset_from_s": 31.2,
    "escalated_at_s": 40.8,
    "turns": [
        {"speaker": "agent", "start_s": 0.4, "end_s": 3.1, "confidence": 0.99},
        {"speaker": "customer", "start_s": 3.6, "end_s": 8.2, "confidence": 0.98},
    ],
    "timeline": {
        "windows": [
            {"start_s": 0.0, "end_s": 10.0, "upset": 0.12},
            {"start_s": 2.5, "end_s": 12.5, "upset": 0.15},
        ],
        "utterances": [
            {
                "start_s": 3.6,
                "end_s": 5.9,
                "upset": 0.1,
                "emotion": "neutral",
                "is_upset": False,
            }
        ],
    },
    "roles": {
        "certainty": 0.75,
        "doubt": "the two voices sound too much alike to be told apart",
    },
    "duration_s": 62.0,
    "model_version": "0001-9d64a489",
    "notes": [],
}
"""An answer about a call, shortened."""

MODELS_EXAMPLE = {
    "champion": "0001-9d64a489",
    "versions": [
        {
            "version": "0001-9d64a489",
            "is_champion": True,
            "created": "2026-03-02T08:15:00+00:00",
            "training_calls": 240,
            "feature_set": "phone-1",
            "golden": {"calls": 60, "accuracy": 0.85, "uar": 0.84, "macro_f1": 0.84},
        }
    ],
}
"""An answer about a workspace with one version."""

HEALTH_EXAMPLE = {"status": "ok", "champion": "0001-9d64a489"}
"""The answer of a service that can judge."""


class Answer(BaseModel):
    """Part of an answer: exactly these fields."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Span(Answer):
    """A stretch of the call, in seconds from its beginning."""

    start_s: float = Field(ge=0)
    end_s: float = Field(ge=0)


class Part(Span):
    """How the customer sounds at the start or the end of the call."""

    status: Status


class Turn(Span):
    """What one person says on end."""

    speaker: Literal["customer", "agent"]
    confidence: float = Field(ge=0, le=1, description="probability that it is this person")


class Window(Span):
    """Ten seconds of the call; they overlap."""

    upset: float | None = Field(
        ge=0, le=1, description="probability; null where the customer is silent"
    )


class Utterance(Span):
    """A piece of a turn of the customer."""

    upset: float | None = Field(ge=0, le=1, description="probability that the customer is upset")
    emotion: str | None = Field(description="the likeliest, null where the model hears none")
    is_upset: bool = Field(description="whether the customer is upset, neighbours considered")


class Timeline(Answer):
    """How upset the customer sounds along the call."""

    windows: list[Window]
    utterances: list[Utterance]


class Probabilities(Answer):
    """Calibrated probability of each status; their sum is 1."""

    satisfied: float = Field(ge=0, le=1)
    average: float = Field(ge=0, le=1)
    unsatisfied: float = Field(ge=0, le=1)


class Roles(Answer):
    """How sure it is who is customer and who agent."""

    certainty: float = Field(ge=0, le=1, description="probability that the two are not swapped")
    doubt: str | None = Field(description="why that is not sure, null where it is")


class Prediction(Answer):
    """What is heard in one recording."""

    status: Status = Field(description="how the customer left, as the call's end sounds")
    probabilities: Probabilities
    confidence: float = Field(ge=0, le=1, description="the highest of the probabilities")
    needs_human: bool = Field(description="whether a person should listen, see coverage")
    start: Part = Field(description="the first 20 s; the whole call where it lasts 45 s or less")
    end: Part = Field(description="the last 25 s; the whole call where it lasts 45 s or less")
    trend: Literal["improving", "steady", "worsening", "too little speech to say"]
    upset_s: float | None = Field(
        ge=0, description="seconds of own speech in which the customer is upset"
    )
    upset_from_s: float | None = Field(ge=0, description="when the stretch that escalated began")
    escalated_at_s: float | None = Field(
        ge=0, description="when the call had escalated; null where it never did"
    )
    turns: list[Turn] = Field(description="who speaks when, in order")
    timeline: Timeline
    roles: Roles
    duration_s: float = Field(ge=0, description="length of the call")
    model_version: str = Field(description="version of the model that judged, see /api/models/")
    notes: list[str] = Field(description="what has to be said beside this, in sentences")


class Golden(Answer):
    """How a version did on the calls that every version is judged on."""

    calls: int | None = Field(description="number of calls; below 30 the figures say little")
    accuracy: float | None = Field(description="share of calls that were judged as people did")
    uar: float | None = Field(description="mean of the shares in each status")
    macro_f1: float | None = Field(description="mean F1 score of the statuses")


class Version(Answer):
    """A stored version of the model."""

    version: str
    is_champion: bool = Field(description="whether it judges where no version is asked for")
    created: str | None = Field(description="when it was made (ISO 8601)")
    training_calls: int | None = Field(description="calls that it learned from")
    feature_set: str | None = Field(description="what it hears")
    golden: Golden | None = Field(description="null where it was not judged on these calls")


class Models(Answer):
    """The stored versions of the model."""

    champion: str | None = Field(description="the version that judges, null where there is none")
    versions: list[Version] = Field(description="oldest first")


class Health(Answer):
    """The service can judge."""

    status: Literal["ok"]
    champion: str = Field(description="version of the model that judges")
