import ModelCheckpoints
import ModelCore
import TestSupport
import Testing

@Suite struct NumPyFileTests {
  private let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  private func file(_ header: String, _ contents: [UInt8], version: UInt8 = 1) throws -> String {
    let length =
      version == 1
      ? [UInt8(header.utf8.count & 0xff), UInt8(header.utf8.count >> 8)] : [UInt8(header.utf8.count), 0, 0, 0]
    let bytes = [0x93] + Array("NUMPY".utf8) + [version, 0] + length + Array(header.utf8) + contents
    return try folder.write(bytes, to: "x.npy").string
  }

  @Test func whatIsWrittenIsReadAgain() throws {
    for shape in [[], [0], [1], [7], [2, 3], [3, 0, 2], [1, 2, 3, 4, 5]] {
      let tensor = try Tensor((0..<shape.reduce(1, *)).map { Float($0) / 3 }, shape)
      let path = folder.path.appending("x.npy")
      try NumPyFile.write(tensor, to: path)
      let read = try NumPyFile.read(path)
      #expect(read.shape == shape && read.dtype == .float32)
      #expect(try read.floats() == tensor.floats())
    }
  }

  @Test func bytesOfAFile() throws {
    let path = folder.path.appending("y.npy")
    try NumPyFile.write(Tensor([1], [1]), to: path)
    let file = try FileBytes(mapping: path)
    let bytes = withExtendedLifetime(file) { Array(file.bytes) }
    #expect(bytes.count == 132 && bytes.prefix(10) == [0x93] + Array("NUMPY".utf8) + [1, 0, 118, 0])
    #expect(
      String(decoding: bytes[10..<67], as: UTF8.self) == "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), }")
    #expect(bytes[127] == UInt8(ascii: "\n") && Array(bytes.suffix(4)) == [0, 0, 0x80, 0x3f])
  }

  @Test func ordersOfBytesAndAxes() throws {
    let big = try NumPyFile.read(file("{'descr': '>i2', 'fortran_order': False, 'shape': (2,), }\n", [0, 1, 1, 0]))
    #expect(try big.dtype == .int16 && big.doubles() == [1, 256])
    let columns = try NumPyFile.read(
      file("{\"shape\": (2L, 3L), \"descr\": \"|u1\", \"fortran_order\": True}", [1, 2, 3, 4, 5, 6], version: 2))
    #expect(try columns.shape == [2, 3] && columns.doubles() == [1, 3, 5, 2, 4, 6])
  }

  @Test(arguments: [
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }", "is shorter than its shape"),
    ("{'descr': '<f4', 'fortran_order': False, 'shape': (9223372036854775807, 9), }", "is shorter than its shape"),
    (
      "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }", "has a header that is not NumPy's"
    ),
    ("{'descr': '<f4', 'fortran_order': Maybe, 'shape': (1,), }", "has a header that is not NumPy's"),
    ("{'descr': '<f4', 'fortran_order': False, }", "has a header that is not NumPy's"),
    ("{'descr': '<f4', 'shape': (1,", "has a header that is not NumPy's"),
    ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", "NumPy's type O"),
    ("{'descr': '<U5', 'fortran_order': False, 'shape': (1,), }", "NumPy's type U5"),
    ("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }", "holds records"),
    ("", "has a header that is not NumPy's"),
  ])
  func refusals(_ header: String, _ reason: String) throws {
    let path = try file(header, [0, 0, 0, 0])
    let refused = refusal { _ = try NumPyFile.read(path) }
    #expect(refused?.contains(reason) == true && refused?.contains("x.npy") == true)
  }

  @Test func noSuchFile() throws {
    #expect(
      refusal { _ = try NumPyFile.read(folder.write("NUMPY, truly", to: "z.npy").string) }?.contains("is no .npy")
        == true)
    let path = folder.path.appending("half.npy")
    #expect(
      refusal { try NumPyFile.write(Tensor(.bfloat16, [2]), to: path) }?.contains("NumPy has no bfloat16") == true)
  }
}
