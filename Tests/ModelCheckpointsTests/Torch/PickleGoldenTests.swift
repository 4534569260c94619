import Foundation
import ModelCheckpoints
import TestSupport
import Testing

/// Python's own pickles of plain objects, in every protocol.
@Suite struct PickleGoldenTests {
  struct Case: Decodable, CustomTestStringConvertible {
    let name: String
    let `protocol`: Int
    let pickle: String
    let text: String

    var testDescription: String { "\(name) in protocol \(`protocol`)" }

    var bytes: [UInt8] {
      let digits = Array(pickle.utf8)
      return stride(from: 0, to: digits.count, by: 2).map {
        UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16) ?? 0
      }
    }
  }

  static func cases() throws -> [Case] {
    try JSONDecoder().decode(
      [Case].self, from: Data(contentsOf: URL(fileURLWithPath: TorchFixtures.path("pickles.json").string)))
  }

  @Test func areReadAsWhatTheyAre() throws {
    let cases = try Self.cases()
    #expect(cases.count > 100)
    for one in cases { #expect(try read(one.bytes).text == one.text, "\(one.testDescription)") }
  }

  @Test func areWrittenAndReadAgainTheSame() throws {
    for one in try Self.cases() {
      let written = PickleWriter.write(try read(one.bytes)) { _ in 0 }
      #expect(try read(written).text == one.text, "\(one.testDescription)")
      // Once more, so that what the writer makes of a cycle is a cycle for it again.
      #expect(try PickleWriter.write(read(written)) { _ in 0 } == written, "\(one.testDescription)")
    }
  }

  @Test func everyTruncationIsRefused() throws {
    for one in try Self.cases() where one.bytes.count < 400 {
      for length in 0..<one.bytes.count {
        let message = refusal { _ = try read(Array(one.bytes[..<length])) }
        #expect(
          message?.hasPrefix("test.pkl: ") == true, "\(one.testDescription), \(length) bytes: \(message ?? "accepted")")
      }
    }
  }
}
