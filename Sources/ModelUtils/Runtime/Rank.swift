import ModelCore

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Which of the processes of a distributed run this is, as its launcher says in the environment.
public struct Rank: Sendable, Hashable, Codable {
  /// What starts the processes of a run.
  public enum Launcher: String, Sendable, Hashable, Codable, CaseIterable {
    /// PyTorch's `torchrun`: RANK, WORLD_SIZE, LOCAL_RANK.
    case torchrun
    /// Open MPI's `mpirun`: OMPI_COMM_WORLD_….
    case openMPI = "Open MPI"
    /// MPICH and its kin: PMI_RANK, PMI_SIZE, MPI_LOCALRANKID.
    case mpich = "MPICH"
    /// Slurm's `srun`: SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID.
    case slurm = "Slurm"
  }

  /// nil for a process of its own.
  public let launcher: Launcher?
  /// From 0, as is the other.
  public let rank: Int
  /// Among the processes of this machine; nil where the launcher does not say.
  public let localRank: Int?
  /// How many processes there are, 1 for one of its own.
  public let worldSize: Int

  /// A process of its own.
  public static let alone = Rank(launcher: nil, rank: 0, localRank: 0, worldSize: 1)

  private init(launcher: Launcher?, rank: Int, localRank: Int?, worldSize: Int) {
    self.launcher = launcher
    self.rank = rank
    self.localRank = localRank
    self.worldSize = worldSize
  }

  /// What the environment of this process says.
  /// - Throws: as `init(_:)`.
  public static func current() throws -> Rank {
    try Rank { name in getenv(name).map { String(cString: $0) } }
  }

  /// Reads the variables of torchrun (RANK, WORLD_SIZE, LOCAL_RANK), Open MPI (OMPI_COMM_WORLD_…), MPICH and its kin
  /// (PMI_RANK, PMI_SIZE, MPI_LOCALRANKID) and Slurm (SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_LOCALID), the first
  /// that are set, in this order. A RANK of -1 counts as not set, as in YOLOv5.
  /// - Throws: `ModelError` when a variable is no number, one is missing or they contradict each other.
  public init(_ variable: (String) -> String?) throws {
    if let known = try Self.read(Launcher.allCases, variable) {
      self = known
      return
    }
    if let local = try Self.number("LOCAL_RANK", variable), local > 0 {
      throw ModelError(.invalid, "LOCAL_RANK is \(local), but RANK and WORLD_SIZE are not set")
    }
    self = .alone
  }

  /// What the launchers say that can start an MPI program; nil where there is none.
  static func ofMPI() throws -> Rank? {
    try read([.openMPI, .mpich, .slurm]) { name in getenv(name).map { String(cString: $0) } }
  }

  private static func read(_ launchers: [Launcher], _ variable: (String) -> String?) throws -> Rank? {
    for launcher in launchers {
      if let known = try read(launcher, variable) { return known }
    }
    return nil
  }

  private static func read(_ launcher: Launcher, _ variable: (String) -> String?) throws -> Rank? {
    let names = launcher.variables
    let size = try names.sizes.lazy.compactMap({ try number($0, variable) }).first
    guard let rank = try number(names.rank, variable), rank >= 0 else {
      // In an allocation of Slurm's there is a size before there are ranks.
      guard let size, size > 1, launcher != .slurm else { return nil }
      throw ModelError(.invalid, "\(names.sizes[0]) is \(size), but \(names.rank) is not set")
    }
    guard let size else { throw ModelError(.invalid, "\(names.rank) is \(rank), but \(names.sizes[0]) is not set") }
    guard size > rank else {
      throw ModelError(.invalid, "\(names.rank) is \(rank), but the size of the world is \(size)")
    }
    var local = try number(names.localRank, variable)
    if let known = local, known < 0 { local = nil }
    if let known = local, known > rank {
      throw ModelError(.invalid, "\(names.localRank) is \(known), but \(names.rank) is \(rank)")
    }
    return Rank(launcher: launcher, rank: rank, localRank: size == 1 ? 0 : local, worldSize: size)
  }

  private static func number(_ name: String, _ variable: (String) -> String?) throws -> Int? {
    guard let text = variable(name), !text.isEmpty else { return nil }
    guard let number = Int32(text) else {
      throw ModelError(.invalid, "\(name) is '\(text)', which is no rank or number of ranks")
    }
    return Int(number)
  }
}

extension Rank.Launcher {
  fileprivate var variables: (rank: String, sizes: [String], localRank: String) {
    switch self {
    case .torchrun: ("RANK", ["WORLD_SIZE"], "LOCAL_RANK")
    case .openMPI: ("OMPI_COMM_WORLD_RANK", ["OMPI_COMM_WORLD_SIZE"], "OMPI_COMM_WORLD_LOCAL_RANK")
    case .mpich: ("PMI_RANK", ["PMI_SIZE"], "MPI_LOCALRANKID")
    case .slurm: ("SLURM_PROCID", ["SLURM_STEP_NUM_TASKS", "SLURM_NTASKS", "SLURM_NPROCS"], "SLURM_LOCALID")
    }
  }
}
