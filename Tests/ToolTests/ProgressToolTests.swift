import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a long run says, on a pseudo-terminal and elsewhere.
@Suite struct ProgressToolTests {
  /// What the command writes to a terminal of so many columns that is its standard error.
  private func terminal(_ arguments: [String], columns: UInt16 = 80, type: String = "xterm", isBoth: Bool = false)
    throws
    -> String
  {
    var (primary, secondary): (Int32, Int32) = (-1, -1)
    var size = winsize(ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0)
    try #require(openpty(&primary, &secondary, nil, nil, &size) == 0)
    let process = Process()
    process.executableURL = Tool.url
    process.arguments = arguments
    process.environment = ProcessInfo.processInfo.environment.merging(["TERM": type]) { $1 }
    process.standardOutput =
      isBoth ? FileHandle(fileDescriptor: secondary, closeOnDealloc: false) : FileHandle.nullDevice
    process.standardError = FileHandle(fileDescriptor: secondary, closeOnDealloc: false)
    try process.run()
    close(secondary)
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 4096)
    while case let count = read(primary, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
    close(primary)
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    return String(decoding: bytes, as: UTF8.self)
  }

  @Test func bar() throws {
    let folder = try Folder()
    // Work for longer than the time between two drawings.
    let picture = folder.path("picture.png")
    try #require(Tool.run("scale", "--ratio", "16", "-o", picture).status == 0)
    let pictures = [String](repeating: picture, count: 30)
    let arguments =
      ["scale"] + pictures + ["--ratio", "0.1", "--batch", "-o", folder.path("out.safetensors"), "--force"]
    let output = try terminal(arguments)
    let drawings = output.components(separatedBy: "\r").filter { $0.contains("/30 pictures") }
    #expect(!drawings.isEmpty)
    for drawing in drawings {
      #expect(
        drawing.wholeMatch(of: /\[#* *\] \d+\/30 pictures, [\d.e+]+\/s(, [\d:]+( s)? left)?\u{1b}\[K/) != nil,
        "\(drawing)")
      #expect(drawing.count <= 79 + 3)
    }
    #expect(output.hasSuffix("\r\u{1b}[K"))
    for columns in [20, 40, 1] {
      let narrow = try terminal(arguments, columns: UInt16(columns))
      for drawing in narrow.components(separatedBy: "\r") {
        #expect(drawing.replacing("\u{1b}[K", with: "").count < max(columns, 2), "\(drawing)")
      }
    }
    #expect(try terminal(arguments + ["--quiet"]).isEmpty)
    #expect(try terminal(arguments, type: "dumb").isEmpty)
    #expect(try Tool.run(arguments).error.isEmpty)
  }

  /// What stands on the screen at the end is the result: a terminal draws what comes to both streams on one screen.
  @Test func theScreenAtTheEnd() throws {
    let folder = try Folder()
    let picture = folder.path("picture.png")
    try #require(Tool.run("scale", "--ratio", "16", "-o", picture).status == 0)
    let pictures = [String](repeating: picture, count: 20)
    let output = try terminal(
      ["scale"] + pictures + ["--ratio", "0.1", "--batch", "-o", folder.path("out.safetensors")], isBoth: true)
    #expect(output.contains("/20 pictures"))
    let lines = output.components(separatedBy: "\r\n").map { line in
      // Each carriage return begins the line anew; the last drawing that was not erased stays.
      line.components(separatedBy: "\r").filter { !$0.isEmpty }.last { !$0.hasSuffix("\u{1b}[K") }?.replacing(
        "\u{1b}[K", with: "") ?? ""
    }
    let shown = lines.filter { !$0.isEmpty }
    #expect(shown.count == 21 && shown.dropLast().allSatisfy { $0.hasPrefix("picture.png ") })
    #expect(shown.last?.hasPrefix("Saved ") ?? false)
  }

  @Test func shortRunsSayNothing() throws {
    #expect(try terminal(["find", Tool.fixture("yolov5_tiny.pt"), "--type", "Conv2d"]).isEmpty)
  }
}
