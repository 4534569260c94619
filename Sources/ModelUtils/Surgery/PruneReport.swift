/// What `prune` did.
public struct PruneReport: Sendable, Codable, CustomStringConvertible {
  /// A pruned weight.
  public struct Layer: Sendable, Codable, Hashable {
    /// The weight's dotted name.
    public let name: String
    /// How many elements it has.
    public let elements: Int
    /// Its zeros after pruning.
    public let zeros: Int
  }

  /// A weight of a Conv2d that was not pruned, because something computes it when the model runs.
  public struct Refusal: Sendable, Codable, Hashable {
    /// The weight's dotted name.
    public let name: String
    /// Why, in words.
    public let reason: String
  }

  /// Every weight that was pruned, in the model's order.
  public let layers: [Layer]
  /// The weights that were chosen and could not be pruned.
  public internal(set) var refused: [Refusal] = []
  /// The tensors whose masks of an earlier pruning were applied and removed first.
  public internal(set) var unmasked: [String] = []
  /// The patterns of names that no weight of a Conv2d bears.
  public internal(set) var unmatched: [String] = []

  /// The share of zeros among the pruned weights; 0 when there are none.
  public var sparsity: Double {
    let elements = layers.reduce(0) { $0 + $1.elements }
    return elements == 0 ? 0 : Double(layers.reduce(0) { $0 + $1.zeros }) / Double(elements)
  }

  public var description: String { "Pruned \(layers.count) weights to \(sparsity) sparsity" }
}
