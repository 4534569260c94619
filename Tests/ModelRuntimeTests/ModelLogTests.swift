import Logging
import ModelCore
import ModelRuntime
import Synchronization
import Testing

@Suite struct ModelLogTests {
  /// Keeps what is logged.
  private struct Memory: LogHandler {
    final class Lines: Sendable { let all = Mutex<[String]>([]) }

    let lines: Lines
    var logLevel = Logger.Level.trace
    var metadata = Logger.Metadata()

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { lines.all.withLock { $0.append("\(event.level): \(event.message)") } }
  }

  @Test func saysNothingByItself() {
    #expect(ModelLog.logger.handler is SwiftLogNoOpLogHandler)
  }

  @Test func devicesFound() throws {
    let lines = Memory.Lines()
    let stub = try StubDriver()
    try ModelLog.$logger.withValue(Logger(label: "test") { _ in Memory(lines: lines) }) {
      _ = try stub.select("1")
    }
    #expect(
      lines.all.withLock { $0 } == ["debug: the CUDA driver (CUDA 12.4) sees 1 devices", "debug: selected cuda:0"])
  }
}
