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

  /// Every weight that was pruned, in the model's order.
  public let layers: [Layer]

  /// The share of zeros among the pruned weights; 0 when there are none.
  public var sparsity: Double {
    let elements = layers.reduce(0) { $0 + $1.elements }
    return elements == 0 ? 0 : Double(layers.reduce(0) { $0 + $1.zeros }) / Double(elements)
  }

  public var description: String { "Pruned \(layers.count) weights to \(sparsity) sparsity" }
}
