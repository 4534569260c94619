import ModelCore

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
