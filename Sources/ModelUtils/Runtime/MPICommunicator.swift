#if MPI
  import CMPI
  import ModelCore

  /// The ranks of an MPI world.
  public struct MPICommunicator: Communicator {
    public let rank: Int
    public let localRank: Int
    public let worldSize: Int
    public let localSize: Int

    /// Initialises MPI unless it is already.
    /// - Parameter known: what the launcher said; the world must be the same.
    /// - Throws: `ModelError` when MPI fails or knows another world, as a program that another MPI's launcher has
    ///   started does.
    static func world(as known: Rank) throws -> MPICommunicator {
      let launched = try Rank.ofMPI()
      guard let launched, launched.rank == known.rank, launched.worldSize == known.worldSize else {
        let other = launched.map { "\($0.launcher?.rawValue ?? "another") says \($0.rank) of \($0.worldSize)" }
        throw refusal(known, other ?? "no MPI has launched it")
      }
      var world = mm_world()
      try check(mm_open(&world))
      let (rank, size) = (Int(world.rank), Int(world.size))
      guard rank == known.rank, size == known.worldSize else {
        throw refusal(known, "to MPI it is rank \(rank) of \(size)")
      }
      return MPICommunicator(
        rank: rank, localRank: Int(world.local_rank), worldSize: size, localSize: Int(world.local_size))
    }

    private static func refusal(_ known: Rank, _ reason: String) -> ModelError {
      let launcher = known.launcher?.rawValue ?? "the environment"
      return ModelError(
        .mismatch,
        "\(launcher) says that this is rank \(known.rank) of \(known.worldSize), but \(reason)",
        advice: "launch it with the mpirun of the MPI that it was built with, or run it once, before the ranks start")
    }

    public func maximum(_ value: Int32, timeout: Duration) throws -> Int32 {
      var result: Int32 = 0
      try wait(timeout) { mm_maximum(value, $0, &result) }
      return result
    }

    public func sum(_ values: UnsafeMutableBufferPointer<Double>, timeout: Duration) throws {
      guard let base = values.baseAddress else { return }
      try wait(timeout) { mm_sum(base, Int64(values.count), $0) }
    }

    public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int, timeout: Duration) throws {
      guard let base = bytes.baseAddress else { return }
      guard (0..<worldSize).contains(root) else { throw ModelError(.invalid, "there is no rank \(root)") }
      try wait(timeout) { mm_broadcast(base, Int64(bytes.count), Int32(root), $0) }
    }

    public func beginSum(_ values: UnsafeMutableBufferPointer<Float>) throws -> any PendingSum {
      var pending: OpaquePointer?
      try Self.check(mm_begin_sum(values.baseAddress, Int64(values.count), &pending))
      guard let pending else { throw ModelError(.system, "MPI has begun nothing") }
      return Sum(pending: pending, communicator: self)
    }

    /// Freed by waiting alone: nobody who fails before meets the others again.
    private struct Sum: PendingSum {
      let pending: OpaquePointer
      let communicator: MPICommunicator

      func advance() throws { try MPICommunicator.check(mm_advance(pending)) }
      func wait(timeout: Duration) throws { try communicator.wait(timeout) { mm_finish(pending, $0) } }
    }

    private func wait(_ timeout: Duration, _ body: (_ seconds: Double) -> Int32) throws {
      let seconds = Double(timeout.components.seconds) + Double(timeout.components.attoseconds) * 1e-18
      let status = body(seconds)
      guard status != MM_TIMEOUT else {
        throw ModelError(
          .system,
          "rank \(rank) of \(worldSize) has waited for the others in vain, for \(CFormat.string("%g", seconds)) seconds"
        )
      }
      try Self.check(status)
    }

    /// Ends MPI, unless it was initialised before; it cannot be initialised again.
    public func close() { mm_close() }

    private static func check(_ status: Int32) throws {
      guard status != 0 else { return }
      let text = textOfBuffer(512) { buffer in
        mm_message(status, buffer, 512)
        return true
      }
      throw ModelError(.system, "MPI fails: \(text ?? "error \(status)")")
    }
  }
#endif
