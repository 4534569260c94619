/// The configuration of an Embedding or EmbeddingBag; its weight is [count, features].
public struct Embedding: Sendable, Hashable {
  /// What a bag makes of its rows.
  public enum Mode: String, Sendable, Hashable, CaseIterable {
    /// The sum, the mean or the largest of the rows, feature by feature.
    case sum, mean, max
  }

  /// How many rows there are to look up: `num_embeddings`.
  public var count: Int
  /// How many numbers a row has: `embedding_dim`.
  public var features: Int
  /// Nil for an Embedding, which keeps its rows apart.
  public var mode: Mode?

  /// A table of `count` rows; a bag with a mode.
  public init(count: Int, features: Int, mode: Mode? = nil) {
    self.count = count
    self.features = features
    self.mode = mode
  }
}

/// The configuration of a Bilinear layer; its weight is [out, first, second].
public struct Bilinear: Sendable, Hashable {
  /// The features of either input.
  public var firstFeatures: Int
  /// The features of the second input.
  public var secondFeatures: Int
  /// How many numbers it gives.
  public var outFeatures: Int

  /// A bilinear layer of the given sizes.
  public init(firstFeatures: Int, secondFeatures: Int, outFeatures: Int) {
    self.firstFeatures = firstFeatures
    self.secondFeatures = secondFeatures
    self.outFeatures = outFeatures
  }
}
