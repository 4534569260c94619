/// The configuration of a multi-head attention with its projections.
public struct MultiheadAttention: Sendable, Hashable {
  /// The features of queries and of what it gives: `embed_dim`.
  public var embeddingSize: Int
  /// Into how many heads the features are divided.
  public var heads: Int
  /// The features of keys and of values.
  public var keySize: Int
  /// The features of values: `vdim`.
  public var valueSize: Int
  /// Whether tensors are [batch, length, features] instead of [length, batch, features].
  public var isBatchFirst: Bool

  /// An attention; keys and values have the embedding's features where they are nil.
  public init(embeddingSize: Int, heads: Int, keySize: Int? = nil, valueSize: Int? = nil, isBatchFirst: Bool = false) {
    self.embeddingSize = embeddingSize
    self.heads = heads
    self.keySize = keySize ?? embeddingSize
    self.valueSize = valueSize ?? embeddingSize
    self.isBatchFirst = isBatchFirst
  }
}
