import Foundation
import FuzzTargets
import TestSupport
import Testing

/// What fuzzing begins with and what it has found, as it stands, cut short, and with a few bytes changed.
@Suite struct CorpusTests {
  private static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()

  private static func files(of target: FuzzTarget) throws -> [(name: String, bytes: [UInt8])] {
    let folder = root.appendingPathComponent("Fuzzing/Corpora/\(target)")
    return try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
      .sorted { $0.lastPathComponent < $1.lastPathComponent }
      .map { ($0.lastPathComponent, Array(try Data(contentsOf: $0))) }
  }

  /// How many of the files are taken; the others are refused by one line.
  @Test(arguments: FuzzTarget.allCases) func corpus(of target: FuzzTarget) throws {
    let folder = try TemporaryFolder()
    var numbers = Generator(1)
    var taken = 0
    for (_, bytes) in try Self.files(of: target) {
      taken += target.refusal(of: bytes, in: folder.path) == nil ? 1 : 0
      for _ in 0..<8 {
        let length = Int.random(in: 0...bytes.count, using: &numbers)
        target.refusal(of: Array(bytes.prefix(length)), in: folder.path)
      }
      guard !bytes.isEmpty else { continue }
      for _ in 0..<16 {
        var changed = bytes
        for _ in 0..<Int.random(in: 1...4, using: &numbers) {
          changed[Int.random(in: changed.indices, using: &numbers)] = UInt8.random(in: .min ... .max, using: &numbers)
        }
        target.refusal(of: changed, in: folder.path)
      }
    }
    #expect(taken > 0, "something must be taken, else nothing is tried")
  }

  /// Graphs that no fuzzer has chosen.
  @Test(arguments: 0..<6) func drawnGraphs(seed: Int) throws {
    let folder = try TemporaryFolder()
    var numbers = Generator(seed)
    var compared = 0
    for _ in 0..<1000 {
      let bytes = (0..<Int.random(in: 8...160, using: &numbers)).map { _ in
        UInt8.random(in: .min ... .max, using: &numbers)
      }
      compared += FuzzTarget.graph.refusal(of: bytes, in: folder.path) == nil ? 1 : 0
    }
    #expect(compared > 20)
  }
}
