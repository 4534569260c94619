/// The configuration of an Embedding or EmbeddingBag; its weight is [count, features].
public struct Embedding: Sendable, Hashable {
  /// What a bag makes of its rows.
  public enum Mode: String, Sendable, Hashable, CaseIterable { case sum, mean, max }

  public var count: Int
  public var features: Int
  /// Nil for an Embedding, which keeps its rows apart.
  public var mode: Mode?

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
  public var secondFeatures: Int
  public var outFeatures: Int

  public init(firstFeatures: Int, secondFeatures: Int, outFeatures: Int) {
    self.firstFeatures = firstFeatures
    self.secondFeatures = secondFeatures
    self.outFeatures = outFeatures
  }
}
