/// How far the writing of a file has come.
public struct WritingProgress: Sendable, Hashable {
  /// The path of the file.
  public let file: String
  /// In bytes.
  public let written: Int
  /// How many it will be; nil where that is not known before.
  public let expected: Int?

  /// Who is told of files that are begun in this task: `WritingProgress.$observer.withValue(Observer { … }) { … }`.
  @TaskLocal public static var observer: Observer?

  /// A function that is told. It is called on any thread, one call at a time for a file, and often: after each part of
  /// at most 64 MB.
  ///
  /// A class, since an optimised program of Swift 6.3 crashes where the value of a task is a function itself.
  public final class Observer: Sendable {
    let tell: @Sendable (WritingProgress) -> Void

    /// An observer that calls a function.
    public init(_ tell: @escaping @Sendable (WritingProgress) -> Void) { self.tell = tell }
  }
}
