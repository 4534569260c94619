import Dispatch
import ModelUtils
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What happens when the command is told to end.
enum Signals {
  private static let child = Mutex<pid_t?>(nil)
  /// Whether a run ends by itself when it is asked to, and whether it was.
  private static let ending = Mutex((isGraceful: false, isAsked: false))
  nonisolated(unsafe) private static var sources: [any DispatchSourceSignal] = []

  /// A run that is interrupted leaves no partial output behind, and hands the signal on to the program that it waits
  /// for.
  static func install() {
    for number in [SIGINT, SIGTERM, SIGHUP] {
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler {
        let isForwarded = child.withLock { child in child.map { kill($0, number) } != nil }
        if isForwarded { return }
        let isFirst = ending.withLock { ending in
          defer { ending.isAsked = true }
          return ending.isGraceful && !ending.isAsked
        }
        if isFirst { return }
        AtomicFile.discardUnfinished()
        signal(number, SIG_DFL)
        // Threads of Dispatch block signals, and so may all others where the parent did.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, number)
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        raise(number)
      }
      source.activate()
      sources.append(source)
    }
    signal(SIGPIPE, SIG_DFL)
    // A file beyond what the shell allows is an error of its writing, which names it.
    signal(SIGXFSZ, SIG_IGN)
  }

  /// Runs what ends by itself, in good order, when it is told to; told a second time it ends at once.
  /// - Parameter body: is given what says whether it was.
  static func endingGracefully<R>(_ body: (_ isAsked: () -> Bool) throws -> R) rethrows -> R {
    ending.withLock { $0 = (true, false) }
    defer { ending.withLock { $0.isGraceful = false } }
    return try body { ending.withLock { $0.isAsked } }
  }

  /// Runs a program, which gets the signals meanwhile.
  /// - Returns: as `ChildProcess.wait`.
  static func run(_ arguments: [String]) throws(ChildProcess.Failure) -> Int32 {
    let process = try child.withLock { child throws(ChildProcess.Failure) in
      let process = try ChildProcess(arguments)
      child = process.id
      return process
    }
    return process.wait { child.withLock { $0 = nil } }
  }
}
