"""How a split is judged: which crops a ranking leaves out, what one query is, and whether it is re-ranked."""

from dataclasses import dataclass

from reid.datasets.split import Split, require_several_cameras
from reid.evaluation.labels import Exclude
from reid.evaluation.multi_query import Pooling
from reid.evaluation.retrieval import PROTOCOL

_DROPPED = {
    Exclude.SAME_CAMERA: "same person and camera dropped",
    Exclude.SAME_TRACKLET: "same person and tracklet dropped, other crops of the same camera count",
}


@dataclass(frozen=True)
class Protocol:
    """`pooling` makes one query of a person's crops on a camera; `rerank` is k-reciprocal re-ranking."""

    exclude: Exclude = Exclude.SAME_CAMERA
    pooling: Pooling | None = None
    rerank: bool = False

    def name(self, split: Split) -> str:
        """The words that stand beside every figure."""
        reranked = "; k-reciprocal re-ranking" if self.rerank else ""
        if self == Protocol(rerank=self.rerank) and not split.asks_itself:
            return PROTOCOL + reranked
        asked = f"multi-query ({self.pooling.value} per person and camera)" if self.pooling else "single query"
        who = "every crop asks" if split.asks_itself else "Market-1501's parts"
        return f"{who}, {asked}: {_DROPPED[self.exclude]}, junk dropped, distractors kept{reranked}"

    def check(self, split: Split) -> None:
        """Raise ``ValueError`` or :class:`~reid.errors.DatasetError` where this makes no sense on the split."""
        require_several_cameras(split, self.exclude)
        if self.pooling and self.exclude is Exclude.SAME_TRACKLET:
            raise ValueError("expected the rule same-camera with --multi-query, which joins tracklets")
        if self.rerank and split.asks_itself:
            raise ValueError(
                "expected a query part apart from the gallery to re-rank (Market-1501's layout): a crop that is both "
                "would be its own neighbour twice"
            )
