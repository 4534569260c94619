import ModelCore

/// A storage of float32 numbers.
func storage(_ elements: [Float]) throws -> Storage {
  try Storage(byteCount: elements.count * 4) { bytes in elements.withUnsafeBytes { bytes.copyMemory(from: $0) } }
}

/// The numbers from 0 on, as float32.
func counting(_ count: Int) throws -> Storage { try storage((0..<count).map(Float.init)) }
