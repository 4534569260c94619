import ModelCore
import TestSupport
import Testing

@testable import ModelCheckpoints

@Suite struct ProtobufTests {
  private func message(_ bytes: [UInt8]) throws -> ProtobufMessage {
    try ProtobufMessage(ProtobufStretch(FileBytes(name: "m", copying: bytes)))
  }

  private func bytes(_ message: ProtobufMessage) throws -> [UInt8] {
    var all: [UInt8] = []
    let pieces = ProtobufPieces(message)
    try pieces.read { all += Array($0) }
    #expect(all.count == pieces.count)
    return all
  }

  /// 1: 150; 2: "testing"; 3: {1: 150}; 4: fixed64 1; 5: fixed32 2.
  private let example: [UInt8] =
    [0x08, 0x96, 0x01, 0x12, 0x07] + Array("testing".utf8) + [0x1a, 0x03, 0x08, 0x96, 0x01]
    + [0x21, 1, 0, 0, 0, 0, 0, 0, 0, 0x2d, 2, 0, 0, 0]

  @Test func fieldsAreRead() throws {
    let message = try message(example)
    #expect(try message.integer(1) == 150)
    #expect(try message.text(2) == "testing")
    #expect(try message.message(3)?.integer(1) == 150)
    #expect(try message.float(5) == Float(bitPattern: 2))
    #expect(try message.integer(9) == nil)
    #expect(try bytes(message) == example)
  }

  @Test func aChangeLeavesTheRestAndTheOrder() throws {
    var message = try message(example)
    message.set(2, "x")
    message.set(7, packed: [1, -1])
    let expected =
      example[0..<3] + [0x12, 1, UInt8(ascii: "x")] + example[12...] + [0x3a, 11, 1]
      + [UInt8](repeating: 0xff, count: 9)
      + [1]
    #expect(try bytes(message) == Array(expected))
    message.set(2, "")
    message.set(7, packed: [Int]())
    #expect(try bytes(message) == Array(example[0..<3] + example[12...]))
  }

  @Test func numbersMayBePackedOrNot() throws {
    #expect(try message([0x08, 1, 0x0a, 2, 2, 3, 0x08, 4]).integers(1) == [1, 2, 3, 4])
    #expect(try message([0x0d, 0, 0, 0x80, 0x3f, 0x0a, 4, 0, 0, 0, 0x40]).floats(1) == [1, 2])
    #expect(try message([0x08] + [UInt8](repeating: 0xff, count: 9) + [1]).integer(1) == -1)
  }

  @Test func messagesOfOneFieldAreJoined() throws {
    let joined = try #require(try message([0x0a, 2, 0x08, 1, 0x0a, 2, 0x10, 2]).message(1))
    #expect(try joined.integer(1) == 1 && joined.integer(2) == 2)
  }

  @Test(
    arguments: [
      ([0x08], "is cut off in a number"), ([0x08, 0x80], "is cut off in a number"),
      ([0x08] + [UInt8](repeating: 0x80, count: 10), "more than 64 bits"),
      ([0x08] + [UInt8](repeating: 0xff, count: 9) + [2], "more than 64 bits"), ([0x00, 0], "number 0"),
      ([0x0b], "wire type 3"), ([0x0c], "wire type 4"), ([0x0e], "wire type 6"),
      ([0x0a, 5, 1], "5 bytes where 1 are left"),
      ([0x0a] + [UInt8](repeating: 0xff, count: 9) + [1], "18446744073709551615 bytes"), ([0x0d, 1, 2], "is cut off"),
    ] as [([UInt8], String)])
  func whatIsNoMessageIsRefused(_ bytes: [UInt8], _ reason: String) {
    #expect(refusal { _ = try message(bytes) }?.contains(reason) == true)
  }

  @Test func otherWireTypesAreRefused() throws {
    let message = try message([0x08, 1, 0x12, 1, 0xff])
    #expect(refusal { _ = try message.text(1) }?.contains("field 1 is no text") == true)
    #expect(refusal { _ = try message.integer(2) }?.contains("field 2 is no whole number") == true)
    #expect(refusal { _ = try message.text(2) }?.contains("UTF-8") == true)
    #expect(refusal { _ = try message.messages(2) }?.contains("is cut off") == true)
  }
}
