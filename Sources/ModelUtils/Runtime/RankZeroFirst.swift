import ModelCore

/// Runs `body` on the first rank of each machine, and on the others when it is done there: torch_utils'
/// `torch_distributed_zero_first`, for what one process should do for all, such as downloading a file.
///
/// **Ours**: where `body` fails on a rank that goes first, the others are released with an error and do not run it.
/// - Parameters:
///   - localRank: this process's rank on its machine; -1 for a process of its own. nil asks the communicator.
///   - communicator: nil is the world that this process was launched in (`currentCommunicator`).
///   - timeout: how long a rank waits for the others before it gives up; torch.distributed's default is half an hour as
///     well.
/// - Throws: what `body` throws; `ModelError` when a rank that goes first fails or does not come in time, or when there
///   are other ranks but no way to meet them.
public func withRankZeroFirst<Result>(
  localRank: Int? = nil, communicator: (any Communicator)? = nil, timeout: Duration = .seconds(1800),
  _ body: () throws -> Result
) throws -> Result {
  let communicator = try communicator ?? currentCommunicator()
  let localRank = localRank ?? communicator.localRank
  guard communicator.worldSize > 1 else { return try body() }
  guard localRank >= 0 else {
    throw ModelError(.invalid, "this process has no local rank, but it is one of \(communicator.worldSize)")
  }
  guard localRank > 0 else {
    let result: Result
    do { result = try body() } catch {
      // Why the body failed says more than that the others are gone.
      _ = try? communicator.maximum(1, timeout: timeout)
      throw error
    }
    _ = try communicator.maximum(0, timeout: timeout)
    return result
  }
  guard try communicator.maximum(0, timeout: timeout) == 0 else {
    throw ModelError(.system, "rank \(communicator.rank) does not run: the rank that goes first has failed")
  }
  return try body()
}
