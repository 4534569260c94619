import CKernels
import FoundationEssentials
import ModelCore
import ModelImages
import SystemPackage
import Testing

/// The root of every test here: restricting the kernels to plain C is a process-wide switch, so they run one at a time.
@Suite(.serialized) enum Images {}

/// A golden file of Tests/Fixtures/images.
func goldens<Case: Decodable>(_ name: String, of type: Case.Type) throws -> [Case] {
  let folder = FilePath(#filePath).removingLastComponent().removingLastComponent().appending("Fixtures/images")
  let file = try FileBytes(mapping: folder.appending(name))
  return try JSONDecoder().decode([Case].self, from: Data(file.bytes))
}

/// What `body` gives at the machine's own level, after checking that plain C and the level between give the same bytes.
func atEveryLevel(_ comment: Comment, _ body: () throws -> Tensor) throws -> Tensor {
  let fast = try body()
  defer { mk_limit_simd(MK_AVX512) }
  for level in [MK_SCALAR, MK_AVX2] {
    mk_limit_simd(level)
    let other = try body()
    #expect(fast.shape == other.shape, comment)
    #expect(try bytes(fast) == bytes(other), comment)
  }
  return fast
}

func bytes(_ tensor: Tensor) throws -> [UInt8] { try tensor.withContiguousBytes { [UInt8]($0) } }

func byteTensor(_ values: [UInt8], _ shape: [Int]) throws -> Tensor {
  try Tensor(.uint8, shape) { $0.copyBytes(from: values) }
}

/// CRC-32, a bit at a time.
func checksum(_ bytes: some Sequence<UInt8>) -> UInt32 {
  var crc = UInt32.max
  for byte in bytes {
    crc ^= UInt32(byte)
    for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xedb8_8320 : 0) }
  }
  return ~crc
}
