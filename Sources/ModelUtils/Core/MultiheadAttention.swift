/// The configuration of a multi-head attention with its projections.
public struct MultiheadAttention: Sendable, Hashable {
  public var embeddingSize: Int
  public var heads: Int
  /// The features of keys and of values.
  public var keySize: Int
  public var valueSize: Int
  /// Whether tensors are [batch, length, features] instead of [length, batch, features].
  public var isBatchFirst: Bool

  public init(embeddingSize: Int, heads: Int, keySize: Int? = nil, valueSize: Int? = nil, isBatchFirst: Bool = false) {
    self.embeddingSize = embeddingSize
    self.heads = heads
    self.keySize = keySize ?? embeddingSize
    self.valueSize = valueSize ?? embeddingSize
    self.isBatchFirst = isBatchFirst
  }
}
