import ArgumentParser
import ModelUtils

struct ZeroFirst: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "zero-first",
    abstract: "Runs a command on the first rank of each machine, then on the others.",
    discussion: """
      For what one process should do before the others find it done, such as downloading a data set. Each rank ends \
      with its command's exit status (128 and the signal's number if it died of one). If the command fails on a rank \
      that goes first, the others do not run it and end with its status.

      Ranks meet through Open MPI, in a build with --traits MPI; launch them with mpirun. A process of its own just \
      runs the command. The command must be no MPI program itself.

      Example: mpirun -n 4 mutils zero-first -- python prepare.py
      """)

  @Option(help: ArgumentHelp("How long a rank waits for the others.", valueName: "seconds"))
  var timeout = 1800.0

  @Flag(help: "Only rank 0 of all goes first, not the first rank of each machine.")
  var global = false

  @Argument(parsing: .postTerminator, help: "What to run, after --.")
  var command: [String] = []

  func validate() throws {
    guard timeout > 0, timeout <= 1e9 else { throw ValidationError("--timeout takes a number of seconds above 0") }
    guard !command.isEmpty else { throw ValidationError("no command is given: mutils zero-first -- COMMAND") }
  }

  func run() throws {
    let world = try currentCommunicator()
    guard world.worldSize > 1 else { throw ExitCode(execute()) }
    let goesFirst = (global ? world.rank : world.localRank) == 0
    let status = goesFirst ? execute() : 0
    let failure = try world.maximum(status, timeout: .seconds(timeout))
    world.close()
    if goesFirst { throw ExitCode(status) }
    guard failure == 0 else {
      Terminal.error(
        ModelError(
          .system,
          "rank \(world.rank): \(command[0]) is not run: it ended with status \(failure) on a rank that goes first"))
      throw ExitCode(failure)
    }
    throw ExitCode(execute())
  }

  /// The command's exit status, or a shell's for one that cannot be started.
  private func execute() -> Int32 {
    do { return try Signals.run(command) } catch {
      Terminal.error(error.error)
      return error.status
    }
  }
}
