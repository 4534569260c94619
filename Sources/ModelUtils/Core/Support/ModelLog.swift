import Logging

/// Where the library says what it recognises and finds, on the level `debug`.
public enum ModelLog {
  /// Says nothing unless it is set, for a task: `ModelLog.$logger.withValue(Logger(label: "…")) { … }`. No logging
  /// system is ever installed.
  @TaskLocal public static var logger = Logger(label: "modelutils") { _ in SwiftLogNoOpLogHandler() }
}
