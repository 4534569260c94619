import Foundation
import Testing

/// The man page says what the command says of itself.
@Suite struct ManualTests {
  @Test func thePageIsOfThisCommand() throws {
    let help = try Tool.run("--experimental-dump-help")
    #expect(help.status == 0)
    let folder = try Folder()
    try Data(help.output.utf8).write(to: folder.url("help.json"))
    let process = Process()
    process.executableURL = Tool.url.deletingLastPathComponent().appendingPathComponent("manual")
    process.standardInput = try FileHandle(forReadingFrom: folder.url("help.json"))
    let pipe = Pipe()
    process.standardOutput = pipe
    try process.run()
    let page = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    let kept = Tool.fixtures.deletingLastPathComponent().deletingLastPathComponent()
      .appendingPathComponent("Resources/mutils.1")
    #expect(try page == Data(contentsOf: kept), "make manual writes it anew")
  }
}
