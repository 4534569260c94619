import ModelCheckpoints
import ModelCore
import SystemPackage
import TestSupport
import Testing

@Suite struct SafeTensorsHeaderTests {
  /// A header from headers.tsv and the reference implementation's verdict on it.
  struct Case: CustomTestStringConvertible {
    let isAccepted: Bool
    let name: String
    let file: FileBytes
    var testDescription: String { name }
  }

  static func cases() throws -> [Case] {
    let text = String(decoding: try SafeTensorsFixtures.map("headers.tsv").array, as: UTF8.self)
    return try text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map { line in
      let columns = line.split(separator: "\t", omittingEmptySubsequences: false)
      try #require(columns.count == 5)
      let file = SafeTensorsFixtures.file(
        unescaped(columns[4]), data: try #require(Int(columns[3])), claiming: UInt64(columns[2]))
      return Case(isAccepted: columns[0] == "accept", name: String(columns[1]), file: file)
    }
  }

  /// `\\` is a backslash, `\xNN` a byte.
  static func unescaped(_ text: Substring) -> [UInt8] {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      if byte != UInt8(ascii: "\\") {
        bytes.append(byte)
      } else if rest.popFirst() == UInt8(ascii: "x") {
        bytes.append(UInt8(Substring(rest.prefix(2)), radix: 16) ?? 0)
        rest = rest.dropFirst(2)
      } else {
        bytes.append(byte)
      }
    }
    return bytes
  }

  @Test func verdictsAreTheReferences() throws {
    let cases = try Self.cases()
    #expect(cases.count > 150)
    for one in cases {
      let refusal = try SafeTensorsFixtures.refusal(one.file)
      let accepts = one.isAccepted && !one.name.hasPrefix("ours: ")
      #expect((refusal == nil) == accepts, "\(one.name): \(refusal ?? "accepted")")
      if accepts { #expect(SafeTensors.recognizes(one.file), "\(one.name)") }
      if let refusal {
        #expect(refusal.hasPrefix("test.safetensors: "), "\(one.name)")
        #expect(!refusal.contains { $0.isNewline }, "\(one.name)")
        #expect(refusal.count < 400, "\(one.name)")
      }
    }
  }

  @Test func everyTruncationIsRefused() throws {
    for name in ["metadata.safetensors", "tied.safetensors", "shapes.safetensors"] {
      let whole = try SafeTensorsFixtures.map(name).array
      for length in 0..<whole.count {
        let refusal = try SafeTensorsFixtures.refusal(FileBytes(name: "cut", copying: whole.prefix(length)))
        #expect(refusal?.hasPrefix("cut: ") == true, "\(name) of \(length) bytes")
      }
      #expect(try SafeTensorsFixtures.refusal(FileBytes(name: "longer", copying: whole + [0])) != nil)
    }
  }

  /// Whatever stands in a byte of the header, there is a verdict and no crash, and what is read is inside the file.
  @Test func everyByteMayBeAnything() throws {
    let whole = try SafeTensorsFixtures.map("metadata.safetensors").array
    for index in whole.indices.dropLast(24) {
      for byte: UInt8 in [0, 0x20, 0x22, 0x2c, 0x30, 0x39, 0x5b, 0x5c, 0x5d, 0x65, 0x7b, 0x7d, 0x80, 0xff] {
        var bytes = whole
        bytes[index] = byte
        let file = FileBytes(name: "changed", copying: bytes)
        do {
          for tensor in try SafeTensors.read(file).tensors.values { _ = try tensor.bytes() }
        } catch let error as ModelError {
          #expect(error.description.hasPrefix("changed: "))
        }
      }
    }
  }

  @Test func messagesSayWhereAndWhat() throws {
    func refusal(_ header: String, _ data: Int = 0) throws -> String? {
      try SafeTensorsFixtures.refusal(SafeTensorsFixtures.file(header.utf8, data: data))
    }
    #expect(
      try refusal(#"{"a":{"dtype":"U9","shape":[2],"data_offsets":[0,2]}}"#, 2)
        == "test.safetensors: byte 22: a: `U9` is no dtype of safetensors")
    #expect(
      try refusal(#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}"#, 2)
        == "test.safetensors: byte 60: JSON ends where `,` or `}` should stand")
    #expect(
      try refusal(#"{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}}"#, 20)
        == "test.safetensors: w: shape [2, 3] of float32 takes 24 bytes, but the header gives it 20")
    #expect(
      try refusal(#"{"w":{"dtype":"F32","shape":[5],"data_offsets":[0,20]}}"#, 19)
        == "test.safetensors: w: its data end at 20, but only 19 bytes follow the header; "
        + "the file is cut off or still downloading")
    #expect(
      try refusal(#"{"\u0061":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":["U8",[2],[0,2]]}"#, 2)
        == "test.safetensors: a: the name `a` occurs twice; which of the tensors is meant cannot be known")
    #expect(
      try refusal(#"{"line\nfeed":{"dtype":"U8"}}"#)
        == #"test.safetensors: byte 36: line\u{a}feed: has no `shape`"#)
    #expect(
      try refusal(#"{"a":{"x":1e999}}"#) == "test.safetensors: byte 18: a: a number is beyond the range of doubles")
    #expect(
      try refusal(#"{"a\ud800":1}"#) == "test.safetensors: byte 11: half a surrogate pair stands in a JSON string")
  }

  @Test func recognizesByContent() throws {
    #expect(SafeTensors.recognizes(try SafeTensorsFixtures.map("dtypes.safetensors")))
    #expect(SafeTensors.recognizes(try SafeTensorsFixtures.map("empty.safetensors")))
    #expect(!SafeTensors.recognizes(try SafeTensorsFixtures.map("sharded/model.safetensors.index.json")))
    #expect(!SafeTensors.recognizes(try SafeTensorsFixtures.map("headers.tsv")))
    let whole = try SafeTensorsFixtures.map("dtypes.safetensors").array
    #expect(SafeTensors.recognizes(FileBytes(name: "cut off", copying: whole.prefix(100))))
    #expect(!SafeTensors.recognizes(FileBytes(name: "nearly nothing", copying: whole.prefix(8))))
    #expect(!SafeTensors.recognizes(FileBytes(name: "nothing", copying: [])))
    #expect(!SafeTensors.recognizes(FileBytes(name: "zip", copying: Array("PK\u{3}\u{4}\u{14}\0\0\0\0\0".utf8))))
    #expect(
      !SafeTensors.recognizes(FileBytes(name: "pickle", copying: [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0x7b])))
  }

  @Test func aHeaderOfManyTensorsIsReadAtOnce() throws {
    var header = "{"
    for index in 0..<20_000 {
      header += (index > 0 ? "," : "") + #""layer.\#(index).weight":{"dtype":"U8","shape":[1],"data_offsets":"#
      header += "[\(19_999 - index),\(20_000 - index)]}"
    }
    let state = try SafeTensors.read(SafeTensorsFixtures.file((header + "}").utf8, data: 20_000))
    #expect(state.count == 20_000)
    #expect(state.names.first == "layer.19999.weight")
    #expect(state.names.last == "layer.0.weight")
  }
}
