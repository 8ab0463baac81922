"""The model of each heap."""

from tests.kernel.allocators.buddy_models import BuddyModel, BuddyTreeModel
from tests.kernel.allocators.fit_models import BestFitModel, FirstFitModel, WorstFitModel
from tests.kernel.allocators.heap_model import HeapModel

HEAP_MODELS: dict[str, type[HeapModel]] = {
    "best_fit": BestFitModel,
    "buddy": BuddyModel,
    "buddy_tree": BuddyTreeModel,
    "first_fit": FirstFitModel,
    "worst_fit": WorstFitModel,
}
"""The model of each heap, by the name of its source."""
