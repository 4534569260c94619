import ModelCore

/// Which elements go: PyTorch's `torch.nn.utils.prune` family. Ties take the lowest index.
public enum PruneMethod: Sendable {
  /// The smallest magnitudes of each weight (`l1_unstructured`): YOLOv5's choice.
  case l1
  /// The smallest magnitudes of all weights together (`global_unstructured` with L1).
  case global
  /// Random elements of each weight (`random_unstructured`), drawn in the order of the weights after
  /// `torch.manual_seed(seed)`.
  case random(seed: UInt64)
  /// Random slices along an axis of each weight (`random_structured`).
  case randomStructured(seed: UInt64, axis: Int)
  /// The slices along an axis whose p-norm is lowest (`ln_structured`). The norm may be infinite.
  case structured(norm: Double, axis: Int)
  /// All but the `keep` largest magnitudes of every `group` neighbours along the input axis, such as 2:4. The amount
  /// does not matter.
  case pattern(keep: Int, group: Int)
  /// What given masks say (`custom_from_mask`): each has its weight's name and shape, and 0 where an element goes.
  /// Weights without a mask stay, and the amount does not matter.
  case custom(StateDict)
}
