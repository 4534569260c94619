import Foundation
import ModelCore
import ModelImages
import TestSupport
import Testing

@testable import ModelReports

@Suite struct EventWriterTests {
  private struct Golden: Decodable { let records: [String], png: String }

  private func golden() throws -> Golden {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Goldens")
    return try JSONDecoder().decode(Golden.self, from: Data(contentsOf: folder.appendingPathComponent("events.json")))
  }

  @Test func recordsAreTorchs() throws {
    let golden = try golden()
    let made = [
      EventRecord.scalar("train/loss", 0.25, step: 0, time: 1_700_000_001.5),
      EventRecord.scalar("val/top1 µ", -3.1, step: 300, time: 1_700_000_002.25),
      EventRecord.scalar("lr", .infinity, step: -1, time: 1_700_000_002.25),
      EventRecord.image("batch", png: bytes(hex: golden.png), height: 2, width: 3, step: 7, time: 1_700_000_003),
    ]
    #expect(made == golden.records.map(bytes(hex:)))
  }

  @Test func fileIsWhole() throws {
    let folder = try TemporaryFolder()
    let golden = try golden()
    let first = EventRecord.version(time: 1_700_000_000.75)
    let writer = try EventWriter(folder: folder["a/b"], time: 1_700_000_000.75)
    #expect(writer.path.lastComponent?.string.hasPrefix("events.out.tfevents.1700000000.") == true)
    #expect(writer.path.lastComponent?.string.hasSuffix(".\(ProcessInfo.processInfo.processIdentifier).0") == true)
    #expect(try contents(writer.path) == first)
    try writer.add(scalar: "train/loss", 0.25, step: 0, time: 1_700_000_001.5)
    #expect(try contents(writer.path) == first)
    try writer.flush()
    #expect(try contents(writer.path) == first + bytes(hex: golden.records[0]))
    let picture = try ImageFile(pixels: Tensor((0..<18).map { UInt8($0) }, [2, 3, 3]))
    try writer.add(image: "batch", picture, step: 7, time: 1_700_000_003)
    try writer.close()
    try writer.close()
    let png = try picture.encoded(as: .png)
    let record = EventRecord.image("batch", png: png, height: 2, width: 3, step: 7, time: 1_700_000_003)
    #expect(try contents(writer.path) == first + bytes(hex: golden.records[0]) + record)
  }

  @Test func resumedRunHasAnotherFile() throws {
    let folder = try TemporaryFolder()
    let one = try EventWriter(folder: folder.path, time: 5)
    let two = try EventWriter(folder: folder.path, time: 5)
    #expect(one.path != two.path && two.path.string.hasSuffix(".1"))
    #expect(try folder.contents.count == 2)
  }

  @Test func muchIsWrittenWithoutFlush() throws {
    let folder = try TemporaryFolder()
    let writer = try EventWriter(folder: folder.path)
    for step in 0..<3 { try writer.add(image: "noise", noise(400, 400), step: step) }
    #expect(try contents(writer.path).count > 1 << 20)
  }

  @Test func refusals() throws {
    let folder = try TemporaryFolder()
    let writer = try EventWriter(folder: folder.path)
    #expect(refusal { try writer.add(scalar: "", 1, step: 0) } == "a tag cannot be empty")
    try writer.close()
    try writer.add(scalar: "a", 1, step: 0)
    #expect(refusal { try writer.flush() } == "\(writer.path): is closed")
    #expect(refusal { _ = try EventWriter(folder: folder.path, time: .nan) } == "nan is no time in seconds")
    let file = try folder.write("", to: "file")
    #expect(refusal { _ = try EventWriter(folder: file) }?.contains("is a file, where a folder is to be") == true)
  }
}
