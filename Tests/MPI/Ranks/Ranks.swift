import ModelUtils

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A distributed program of the library: says when each rank runs. What the rank that goes first does stands in the
/// first argument.
@main
enum Ranks {
  struct Fault: Error {}

  static func main() {
    let manner = CommandLine.arguments.dropFirst().first ?? "well"
    let timeout = CommandLine.arguments.dropFirst(2).first.flatMap { Double($0) } ?? 60
    do {
      let world = try currentCommunicator()
      for round in 0..<3 {
        try withRankZeroFirst(communicator: world, timeout: .seconds(timeout)) {
          say("rank \(world.rank) of \(world.worldSize), local \(world.localRank), round \(round)")
          guard world.rank == 0 else { return }
          switch manner {
          case "throws": throw Fault()
          case "exits": exit(9)
          case "dies": kill(getpid(), SIGKILL)
          case "hangs": sleep(600)
          default: usleep(200_000)
          }
        }
      }
      world.close()
    } catch let error as ModelError {
      say("error: \(error)")
      exit(1)
    } catch {
      say("fault")
      exit(3)
    }
  }

  private static func say(_ text: String) {
    print(text)
    fflush(nil)
  }
}
