/// The processes of a distributed run, as far as they must meet.
///
/// All ranks call the same methods in the same order, with as many values. One at a time of `maximum`, `sum` and
/// `broadcast`; sums that were begun go on beside them. What has thrown leaves the ranks apart: they cannot meet again.
public protocol Communicator: Sendable {
  /// From 0, as is the other.
  var rank: Int { get }
  /// Among the processes of this machine.
  var localRank: Int { get }
  /// How many processes there are.
  var worldSize: Int { get }
  /// How many of them run on this machine.
  var localSize: Int { get }

  /// The greatest of the values that the ranks bring: returns when all have called it.
  /// - Throws: `ModelError` when they have not within `timeout`.
  func maximum(_ value: Int32, timeout: Duration) throws -> Int32

  /// Puts the sum over all ranks in each value's place, the same bits on every rank.
  /// - Throws: as `maximum`.
  func sum(_ values: UnsafeMutableBufferPointer<Double>, timeout: Duration) throws

  /// Begins to put the sum over all ranks in each value's place; the values belong to it until it is done.
  /// - Throws: `ModelError` where it cannot be begun.
  func beginSum(_ values: UnsafeMutableBufferPointer<Float>) throws -> any PendingSum

  /// Puts a rank's bytes in those of the others.
  /// - Throws: as `maximum`.
  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int, timeout: Duration) throws

  /// Says that this rank will meet the others no more; all ranks must, unless they have failed, before they end.
  func close()
}

/// A sum over all ranks that is under way.
public protocol PendingSum {
  /// Takes it a little further, where nobody else does, and returns at once.
  func advance() throws
  /// Returns when it is done.
  /// - Throws: as `Communicator.maximum`.
  func wait(timeout: Duration) throws
}

/// A process of its own.
public struct SingleProcess: Communicator {
  /// The only process of its world.
  public init() {}

  public var rank: Int { 0 }
  public var localRank: Int { 0 }
  /// 1.
  public var worldSize: Int { 1 }
  /// 1.
  public var localSize: Int { 1 }

  public func maximum(_ value: Int32, timeout: Duration) -> Int32 { value }
  public func sum(_ values: UnsafeMutableBufferPointer<Double>, timeout: Duration) {}
  public func beginSum(_ values: UnsafeMutableBufferPointer<Float>) -> any PendingSum { Done() }
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int, timeout: Duration) {}
  public func close() {}

  private struct Done: PendingSum {
    func advance() {}
    func wait(timeout: Duration) {}
  }
}

extension Communicator {
  /// Runs `body` on every rank, which all leave together: where it fails on one, it fails on all.
  /// - Parameter timeout: how long a rank waits for the others.
  /// - Throws: what `body` throws; `ModelError` where it has failed on another rank alone, and as `maximum`.
  public func together<Result>(timeout: Duration, _ body: () throws -> Result) throws -> Result {
    guard worldSize > 1 else { return try body() }
    let result: Result
    do { result = try body() } catch {
      // Why it failed says more than that the others are gone.
      _ = try? maximum(Int32(rank) + 1, timeout: timeout)
      throw error
    }
    let failed = try maximum(0, timeout: timeout)
    guard failed == 0 else { throw ModelError(.system, "rank \(rank) stops: rank \(failed - 1) has failed") }
    return result
  }

  /// The sums over all ranks, the same on every one.
  public func sum(_ values: [Double], timeout: Duration) throws -> [Double] {
    var values = values
    try values.withUnsafeMutableBufferPointer { try sum($0, timeout: timeout) }
    return values
  }
}
