import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What is left when a run is told to end.
@Suite struct SignalToolTests {
  @Test(arguments: [SIGINT, SIGTERM, SIGHUP])
  func nothingIsLeft(signal: Int32) throws {
    let folder = try Folder()
    try #require(Tool.run("init", "resnet18", "-o", "model.safetensors", in: folder.url).status == 0)
    let process = Process()
    process.executableURL = Tool.url
    // For many seconds.
    process.arguments = ["ema"] + [String](repeating: "model.safetensors", count: 4_000) + ["-o", "ema.pt"]
    process.currentDirectoryURL = folder.url
    process.standardOutput = FileHandle.nullDevice
    process.standardError = FileHandle.nullDevice
    try process.run()
    Thread.sleep(forTimeInterval: 1)
    try #require(process.isRunning)
    kill(process.processIdentifier, signal)
    process.waitUntilExit()
    #expect(process.terminationReason == .uncaughtSignal && process.terminationStatus == signal)
    #expect(try FileManager.default.contentsOfDirectory(atPath: folder.url.path) == ["model.safetensors"])
  }
}
