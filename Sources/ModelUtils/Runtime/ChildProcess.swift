import ModelCore
import SystemPackage

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Another program, run without a shell.
package struct ChildProcess: Sendable {
  package let id: pid_t

  /// Why a program could not be started.
  package struct Failure: Error {
    /// As a shell tells it: 127 for one that is not found, 126 for one that cannot be run.
    package let status: Int32
    package let error: ModelError
  }

  /// Starts `arguments[0]`, which is looked for in PATH, with this process's standard streams, environment and folder;
  /// signals have their defaults, but for those that end programs and that this process was told to pass over.
  /// - Parameter output: takes its standard output; standard input and error are then empty.
  package init(_ arguments: [String], output: FileDescriptor? = nil) throws(Failure) {
    #if canImport(Darwin)
      var actions: posix_spawn_file_actions_t?
      var attributes: posix_spawnattr_t?
      let environ = _NSGetEnviron().pointee
    #else
      var actions = posix_spawn_file_actions_t()
      var attributes = posix_spawnattr_t()
    #endif
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    if let output {
      posix_spawn_file_actions_adddup2(&actions, output.rawValue, STDOUT_FILENO)
      posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
      posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0)
    }
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var (every, none) = (sigset_t(), sigset_t())
    sigfillset(&every)
    for number in [SIGHUP, SIGINT, SIGTERM, SIGQUIT] where Self.isIgnored(number) { sigdelset(&every, number) }
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &every)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
    var words = arguments.map { strdup($0) } + [nil]
    defer { for word in words { free(word) } }
    var id: pid_t = 0
    let status = posix_spawnp(&id, arguments[0], &actions, &attributes, &words, environ)
    guard status == 0 else {
      throw Failure(
        status: status == ENOENT ? 127 : 126,
        error: ModelError(.system, "cannot be run: \(Errno(rawValue: status))", file: arguments[0]))
    }
    self.id = id
  }

  /// Whether this process passes a signal over, as one under `nohup` does.
  package static func isIgnored(_ number: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(number, nil, &action) == 0 else { return false }
    #if canImport(Darwin)
      let handler = action.__sigaction_u.__sa_handler
    #else
      let handler = action.__sigaction_handler.sa_handler
    #endif
    return unsafeBitCast(handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
  }

  /// Waits until it ends.
  /// - Parameter beforeRelease: is called when it has ended while its id is still its own, so that no signal is sent to
  ///   another.
  /// - Returns: its exit status, or 128 and the number of the signal that it died of.
  package func wait(beforeRelease: () -> Void = {}) -> Int32 {
    var information = siginfo_t()
    while waitid(P_PID, id_t(id), &information, WEXITED | WNOWAIT) < 0, errno == EINTR {}
    beforeRelease()
    var status: Int32 = 0
    while waitpid(id, &status, 0) < 0 {
      guard errno == EINTR else { return 1 }
    }
    let signal = status & 0x7f
    return signal == 0 ? status >> 8 & 0xff : 128 + signal
  }

  /// What a program prints; nil when it cannot be run or fails.
  static func output(of arguments: [String]) -> String? {
    guard let (reading, writing) = try? FileDescriptor.pipe() else { return nil }
    defer { try? reading.close() }
    for end in [reading, writing] { _ = fcntl(end.rawValue, F_SETFD, FD_CLOEXEC) }
    let child: ChildProcess
    do { child = try ChildProcess(arguments, output: writing) } catch {
      try? writing.close()
      return nil
    }
    try? writing.close()
    var bytes: [UInt8] = []
    withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
      while let count = try? reading.read(into: buffer), count > 0 { bytes += buffer.prefix(count) }
    }
    return child.wait() == 0 ? String(decoding: bytes, as: UTF8.self) : nil
  }
}
