import ModelCore
import ModelRuntime
import TestSupport
import Testing

@Suite struct RankTests {
  private func rank(_ variables: [String: String]) throws -> Rank { try Rank { variables[$0] } }

  @Test(arguments: [
    [:], ["RANK": "-1"], ["RANK": "-1", "LOCAL_RANK": "-1", "WORLD_SIZE": "1"], ["RANK": ""], ["LOCAL_RANK": "0"],
    ["WORLD_SIZE": "1"],
    // A shell within an allocation.
    ["SLURM_NTASKS": "4", "SLURM_NPROCS": "4"],
  ])
  func alone(_ variables: [String: String]) throws { #expect(try rank(variables) == .alone) }

  @Test func launchers() throws {
    let torchrun = try rank(["RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1"])
    #expect(torchrun.launcher == .torchrun && torchrun.rank == 5 && torchrun.localRank == 1 && torchrun.worldSize == 8)
    let openMPI = try rank([
      "OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3", "OMPI_COMM_WORLD_LOCAL_RANK": "0",
    ])
    #expect(openMPI.launcher == .openMPI && openMPI.rank == 2 && openMPI.localRank == 0 && openMPI.worldSize == 3)
    let mpich = try rank(["PMI_RANK": "1", "PMI_SIZE": "2", "MPI_LOCALRANKID": "1"])
    #expect(mpich.launcher == .mpich && mpich.rank == 1 && mpich.localRank == 1 && mpich.worldSize == 2)
    let slurm = try rank([
      "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_NTASKS": "4", "SLURM_LOCALID": "0",
    ])
    #expect(slurm.launcher == .slurm && slurm.rank == 1 && slurm.localRank == 0 && slurm.worldSize == 2)
    #expect(try rank(["SLURM_PROCID": "1", "SLURM_NTASKS": "4"]).worldSize == 4)
    #expect(try rank(["PMI_RANK": "1", "PMI_SIZE": "2"]).localRank == nil)
    #expect(try rank(["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "1"]).localRank == 0)
  }

  /// The innermost launcher counts.
  @Test func order() throws {
    var variables = ["SLURM_PROCID": "0", "SLURM_NTASKS": "2"]
    #expect(try rank(variables).launcher == .slurm)
    variables.merge(["PMI_RANK": "0", "PMI_SIZE": "2"]) { $1 }
    #expect(try rank(variables).launcher == .mpich)
    variables.merge(["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"]) { $1 }
    #expect(try rank(variables).launcher == .openMPI)
    variables.merge(["RANK": "0", "WORLD_SIZE": "2"]) { $1 }
    #expect(try rank(variables).launcher == .torchrun)
    variables["RANK"] = "-1"
    variables["WORLD_SIZE"] = nil
    #expect(try rank(variables).launcher == .openMPI)
  }

  @Test(arguments: [
    (["RANK": "0"], "RANK is 0, but WORLD_SIZE is not set"),
    (["WORLD_SIZE": "2"], "WORLD_SIZE is 2, but RANK is not set"),
    (["RANK": "-1", "WORLD_SIZE": "2"], "WORLD_SIZE is 2, but RANK is not set"),
    (["OMPI_COMM_WORLD_SIZE": "2"], "OMPI_COMM_WORLD_SIZE is 2, but OMPI_COMM_WORLD_RANK is not set"),
    (["LOCAL_RANK": "1"], "LOCAL_RANK is 1, but RANK and WORLD_SIZE are not set"),
    (["RANK": "2", "WORLD_SIZE": "2"], "RANK is 2, but the size of the world is 2"),
    (["RANK": "0", "WORLD_SIZE": "0"], "RANK is 0, but the size of the world is 0"),
    (["RANK": "0", "WORLD_SIZE": "-3"], "RANK is 0, but the size of the world is -3"),
    (["RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "2"], "LOCAL_RANK is 2, but RANK is 1"),
    (["RANK": "x", "WORLD_SIZE": "2"], "RANK is 'x', which is no rank or number of ranks"),
    (["RANK": "0", "WORLD_SIZE": "2.0"], "WORLD_SIZE is '2.0', which is no rank or number of ranks"),
    (
      ["RANK": "99999999999999999999", "WORLD_SIZE": "2"],
      "RANK is '99999999999999999999', which is no rank or number of ranks"
    ),
  ])
  func refusals(_ variables: [String: String], _ expected: String) {
    #expect(refusal { _ = try rank(variables) } == expected)
  }
}
