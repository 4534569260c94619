import Foundation
import Testing

/// The built command, run as a process of its own.
enum Tool {
  struct Result {
    let status: Int32
    let output: String
    let error: String

    /// The one JSON object that was printed.
    var json: [String: Any] {
      get throws {
        let object = try JSONSerialization.jsonObject(with: Data(output.utf8))
        return try #require(object as? [String: Any])
      }
    }
  }

  /// `mutils` beside the test bundle; the environment variable MUTILS overrides it.
  static let url: URL = {
    if let path = ProcessInfo.processInfo.environment["MUTILS"] { return URL(fileURLWithPath: path) }
    let folder = URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent()
    let beside = folder.appendingPathComponent("mutils")
    if FileManager.default.isExecutableFile(atPath: beside.path) { return beside }
    return fixtures.deletingLastPathComponent().deletingLastPathComponent().appendingPathComponent(
      ".build/release/mutils")
  }()

  static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Fixtures")

  static func fixture(_ name: String) -> String { fixtures.appendingPathComponent(name).path }

  static func run(_ arguments: String..., in folder: URL? = nil) throws -> Result {
    try run(arguments, in: folder)
  }

  /// - Parameter environment: variables to add to this process's, or to take away where they are nil.
  static func run(
    _ arguments: [String], in folder: URL? = nil, environment: [String: String?] = [:]
  ) throws -> Result {
    let process = Process()
    process.executableURL = url
    process.arguments = arguments
    process.currentDirectoryURL = folder
    process.environment = environment.reduce(into: ProcessInfo.processInfo.environment) { $0[$1.key] = $1.value }
    // Files instead of pipes: nothing can fill up and block.
    let scratch = try Folder()
    let (output, error) = (scratch.url("stdout"), scratch.url("stderr"))
    for file in [output, error] { try Data().write(to: file) }
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: error)
    try process.run()
    process.waitUntilExit()
    return Result(
      status: process.terminationReason == .exit ? process.terminationStatus : -process.terminationStatus,
      output: try String(contentsOf: output, encoding: .utf8), error: try String(contentsOf: error, encoding: .utf8))
  }

  /// A line of the shell, where `$M` is the command.
  static func shell(_ script: String, in folder: Folder) throws -> Result {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/bin/sh")
    process.arguments = ["-c", script]
    process.currentDirectoryURL = folder.url
    process.environment = ProcessInfo.processInfo.environment.merging(["M": url.path]) { $1 }
    let scratch = try Folder()
    let (output, error) = (scratch.url("stdout"), scratch.url("stderr"))
    for file in [output, error] { try Data().write(to: file) }
    process.standardOutput = try FileHandle(forWritingTo: output)
    process.standardError = try FileHandle(forWritingTo: error)
    process.standardInput = FileHandle.nullDevice
    try process.run()
    process.waitUntilExit()
    return Result(
      status: process.terminationStatus, output: try String(contentsOf: output, encoding: .utf8),
      error: try String(contentsOf: error, encoding: .utf8))
  }
}

/// A temporary folder that goes with the value.
final class Folder {
  let url: URL

  init() throws {
    url = FileManager.default.temporaryDirectory.appendingPathComponent("mutils-test-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(at: url) }

  func url(_ name: String) -> URL { url.appendingPathComponent(name) }
  func path(_ name: String) -> String { url(name).path }

  /// A copy of a fixture under another name.
  func copy(_ fixture: String, as name: String) throws -> String {
    try FileManager.default.copyItem(atPath: Tool.fixture(fixture), toPath: path(name))
    return path(name)
  }

  var names: [String] { get throws { try FileManager.default.contentsOfDirectory(atPath: url.path).sorted() } }
}
