/// How far the writing of a file has come.
public struct WritingProgress: Sendable, Hashable {
  public let file: String
  /// In bytes.
  public let written: Int
  /// How many it will be; nil where that is not known before.
  public let expected: Int?

  /// Is told, for files that are begun in this task: `WritingProgress.$handler.withValue({ progress in … }) { … }`. It
  /// is called on any thread, one call at a time for a file, and often: after each part of at most 64 MB.
  @TaskLocal public static var handler: (@Sendable (WritingProgress) -> Void)?
}
