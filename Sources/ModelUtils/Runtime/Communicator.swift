import ModelCore

/// The processes of a distributed run, as far as they must meet.
public protocol Communicator: Sendable {
  /// From 0, as is the other.
  var rank: Int { get }
  /// Among the processes of this machine.
  var localRank: Int { get }
  /// How many processes there are.
  var worldSize: Int { get }

  /// The greatest of the values that the ranks bring: returns when all have called it.
  /// - Throws: `ModelError` when they have not within `timeout`. The ranks cannot meet again after that.
  func maximum(_ value: Int32, timeout: Duration) throws -> Int32

  /// Says that this rank will meet the others no more; all ranks must, unless they have failed, before they end.
  func close()
}

/// A process of its own.
public struct SingleProcess: Communicator {
  /// The only process of its world.
  public init() {}

  public var rank: Int { 0 }
  public var localRank: Int { 0 }
  /// 1.
  public var worldSize: Int { 1 }

  public func maximum(_ value: Int32, timeout: Duration) -> Int32 { value }
  public func close() {}
}

/// The world that this process was launched in: itself alone, or MPI's where the package is built with the trait `MPI`.
/// - Throws: `ModelError` when the environment says that there are other ranks, but there is no way to meet them.
public func currentCommunicator() throws -> any Communicator {
  let rank = try Rank.current()
  guard rank.worldSize > 1 else { return SingleProcess() }
  #if MPI
    return try MPICommunicator.world(as: rank)
  #else
    throw ModelError(
      .unsupported,
      "this is rank \(rank.rank) of \(rank.worldSize), but without MPI it cannot wait for the others",
      advice: "build with --traits MPI and launch with mpirun, or run it once, before the ranks start")
  #endif
}
