import Foundation
import ModelCore
import SystemPackage
import Testing

/// SplitMix64: the same numbers in every run.
struct Generator: RandomNumberGenerator {
  private var state: UInt64

  init(_ seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xbf58_476d_1ce4_e5b9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
    return mixed ^ (mixed >> 31)
  }
}

/// A storage of float32 numbers.
func storage(_ elements: [Float]) throws -> Storage {
  try Storage(byteCount: elements.count * 4) { bytes in elements.withUnsafeBytes { bytes.copyMemory(from: $0) } }
}

/// The numbers from 0 on, as float32.
func counting(_ count: Int) throws -> Storage { try storage((0..<count).map(Float.init)) }

/// A contiguous tensor of the given bytes.
func tensor(_ dtype: DType, _ shape: [Int], _ bytes: [UInt8]) throws -> Tensor {
  try Tensor(dtype, shape) { $0.copyBytes(from: bytes) }
}

/// The one-line message of what `body` throws.
func message(_ body: () throws -> Void) -> String? {
  do {
    try body()
    return nil
  } catch {
    return (error as? ModelError)?.description ?? "not a ModelError: \(error)"
  }
}

extension Tensor {
  func bytes() throws -> [UInt8] { try withContiguousBytes { Array($0) } }

  /// Where the elements stand in memory; the same before and after a change in place.
  func address() throws -> UInt { try withContiguousBytes { UInt(bitPattern: $0.baseAddress) } }
}

/// A folder for one test, removed with the object.
final class TemporaryFolder {
  let path: FilePath

  init() throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("core-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    path = FilePath(url.path)
  }

  deinit { try? FileManager.default.removeItem(atPath: path.string) }

  func write(_ bytes: [UInt8], to name: String) throws -> FilePath {
    try Data(bytes).write(to: URL(fileURLWithPath: path.appending(name).string))
    return path.appending(name)
  }
}
