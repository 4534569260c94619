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

  /// The signals that the waiting thread takes, set before it begins. Others may be blocked as well, by the parent.
  nonisolated(unsafe) private static var watched: sigset_t = {
    var none = sigset_t()
    sigemptyset(&none)
    return none
  }()

  /// A run that is interrupted leaves no partial output behind, and hands the signal on to the program that it waits
  /// for. What it was told to pass over, as by `nohup`, it passes over.
  static func install() {
    for number in [SIGINT, SIGTERM, SIGHUP] where !ChildProcess.isIgnored(number) { sigaddset(&watched, number) }
    // All threads of the process block them, but for one that waits. Without it, where no thread is to be had, they end
    // the process as they do any other.
    pthread_sigmask(SIG_BLOCK, &watched, nil)
    if !startThread() { pthread_sigmask(SIG_UNBLOCK, &watched, nil) }
    signal(SIGPIPE, SIG_DFL)
    // A file beyond what the shell allows is an error of its writing, which names it.
    signal(SIGXFSZ, SIG_IGN)
    AtomicFile.endAtLostPages(
      saying: "mutils: error: a file was cut short while it was read, or its disk fails: nothing is written")
  }

  /// Threads are given work through descriptors of the system's own: where none is left they end the process without a
  /// word.
  /// - Throws: `ModelError` where hardly any may be opened.
  static func checkDescriptors() throws {
    var limit = rlimit()
    let needed = 16
    #if canImport(Glibc)
      let status = getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    #else
      let status = getrlimit(RLIMIT_NOFILE, &limit)
    #endif
    guard status == 0, limit.rlim_cur < needed else { return }
    throw ModelError(
      .system, "no more than \(limit.rlim_cur) files may be open at once, and \(needed) are needed",
      advice: "raise the limit (ulimit -n)")
  }

  /// - Returns: whether there is a thread that waits.
  private static func startThread() -> Bool {
    #if canImport(Darwin)
      var thread: pthread_t?
      let status = pthread_create(&thread, nil, { _ in Signals.wait() }, nil)
      if status == 0, let thread { pthread_detach(thread) }
    #else
      var thread = pthread_t()
      let status = pthread_create(&thread, nil, { _ in Signals.wait() }, nil)
      if status == 0 { pthread_detach(thread) }
    #endif
    return status == 0
  }

  private static func wait() -> Never {
    while true {
      var number: Int32 = 0
      if sigwait(&watched, &number) == 0 { take(number) }
    }
  }

  private static func take(_ number: Int32) {
    let isForwarded = child.withLock { child in child.map { kill($0, number) } != nil }
    if isForwarded { return }
    let isFirst = ending.withLock { ending in
      defer { ending.isAsked = true }
      return ending.isGraceful && !ending.isAsked
    }
    if isFirst { return }
    AtomicFile.discardUnfinished()
    signal(number, SIG_DFL)
    var signals = sigset_t()
    sigemptyset(&signals)
    sigaddset(&signals, number)
    pthread_sigmask(SIG_UNBLOCK, &signals, nil)
    raise(number)
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
