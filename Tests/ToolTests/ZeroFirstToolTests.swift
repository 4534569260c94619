import Foundation
import Testing

/// A process of its own, and ranks that cannot meet; Tests/MPI has the others.
@Suite struct ZeroFirstToolTests {
  /// Nothing of a launcher that these tests may run under.
  private static let alone: [String: String?] = Dictionary(
    uniqueKeysWithValues: [
      "RANK", "WORLD_SIZE", "LOCAL_RANK", "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK",
      "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID", "SLURM_PROCID", "SLURM_NTASKS", "SLURM_NPROCS", "SLURM_LOCALID",
      "SLURM_STEP_NUM_TASKS",
    ].map { ($0, nil) })

  private func run(_ command: [String], _ variables: [String: String?] = [:]) throws -> Tool.Result {
    try Tool.run(["zero-first"] + command, environment: Self.alone.merging(variables) { $1 })
  }

  @Test(arguments: [
    ("exit 0", 0), ("exit 1", 1), ("exit 64", 64), ("exit 255", 255), ("kill -9 $$", 137), ("kill -15 $$", 143),
    ("kill -2 $$", 130),
  ])
  func statuses(_ script: String, _ status: Int) throws {
    let result = try run(["--", "sh", "-c", script])
    #expect(Int(result.status) == status && result.output.isEmpty && result.error.isEmpty)
  }

  @Test func streamsAndArguments() throws {
    let result = try run(["--timeout", "5", "--", "sh", "-c", "echo \"$0|$1|$2\"; echo bad >&2", "a b", "--json", "--"])
    #expect(result.status == 0 && result.output == "a b|--json|--\n" && result.error == "bad\n")
  }

  @Test func cannotBeRun() throws {
    let missing = try run(["--", "no-such-command"])
    #expect(missing.status == 127)
    #expect(missing.error == "mutils: error: no-such-command: cannot be run: No such file or directory\n")
    let folder = try run(["--", "/"])
    #expect(folder.status == 126 && folder.error == "mutils: error: /: cannot be run: Permission denied\n")
  }

  /// Not a byte more than the command prints.
  @Test func outputIsTheCommands() throws {
    #expect(try Tool.run("zero-first", "--", "printf", "abc").output == "abc")
  }

  @Test(arguments: [[], ["--"], ["echo"], ["--timeout", "0", "--", "echo"], ["--timeout", "nan", "--", "echo"]])
  func wrongUsage(_ arguments: [String]) throws {
    let result = try run(arguments)
    #expect(result.status == 64 && result.output.isEmpty && result.error.hasPrefix("mutils: error: "))
  }

  @Test(arguments: [
    ["RANK": "0", "WORLD_SIZE": "4", "LOCAL_RANK": "0"], ["RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "3"],
    ["OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "2"], ["PMI_RANK": "0", "PMI_SIZE": "2"],
    ["SLURM_PROCID": "1", "SLURM_NTASKS": "2"], ["RANK": "0"], ["WORLD_SIZE": "2"], ["RANK": "one", "WORLD_SIZE": "2"],
  ])
  func noRankIsAlone(_ variables: [String: String]) throws {
    let result = try run(["--", "echo", "ran"], variables.mapValues { $0 })
    #expect(result.status == 1 && result.output.isEmpty)
    #expect(result.error.hasPrefix("mutils: error: ") && result.error.split(separator: "\n").count == 1)
  }

  @Test func worldOfOne() throws {
    #expect(try run(["--", "echo", "ran"], ["RANK": "0", "WORLD_SIZE": "1"]).output == "ran\n")
    #expect(try run(["--", "echo", "ran"], ["RANK": "-1"]).output == "ran\n")
  }

  /// The command gets the signal, and its own way of ending is passed on.
  @Test func signalsAreHandedOn() throws {
    let folder = try Folder()
    let script = "trap 'exit 9' TERM; touch ready; while :; do sleep 0.02; done"
    let process = Process()
    process.executableURL = Tool.url
    process.arguments = ["zero-first", "--", "sh", "-c", script]
    process.currentDirectoryURL = folder.url
    process.environment = ProcessInfo.processInfo.environment.filter { Self.alone[$0.key] == nil }
    try process.run()
    let end = Date().addingTimeInterval(20)
    while !FileManager.default.fileExists(atPath: folder.path("ready")), Date() < end {
      Thread.sleep(forTimeInterval: 0.02)
    }
    process.terminate()
    process.waitUntilExit()
    #expect(process.terminationReason == .exit && process.terminationStatus == 9)
  }
}
