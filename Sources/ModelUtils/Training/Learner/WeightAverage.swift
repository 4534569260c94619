import CKernels
import ModelCore
import ModelEngine

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// `ModelEMA`'s average of weights that lie where steps change them: parameters are averaged within the optimizer's pass
/// over them, running statistics behind it. Whole numbers keep the model's value.
final class WeightAverage {
  private let decay: Double
  private let tau: Double
  private var parts: [String: UnsafeMutableBufferPointer<Float>] = [:]

  init(_ variables: Variables, decay: Double, tau: Double = 2000) throws {
    guard (0...1).contains(decay) else { throw ModelError(.invalid, "an average's decay is 0 to 1, not \(decay)") }
    (self.decay, self.tau) = (decay, tau)
    for path in variables.paths {
      guard let tensor = variables[path], tensor.dtype == .float32 else { continue }
      let part = UnsafeMutableBufferPointer<Float>.allocate(capacity: max(tensor.count, 1))
      parts[path] = UnsafeMutableBufferPointer(start: part.baseAddress, count: tensor.count)
      try tensor.copyBytes(to: UnsafeMutableRawBufferPointer(start: part.baseAddress, count: tensor.byteCount))
    }
  }

  deinit { for part in parts.values { part.baseAddress?.deallocate() } }

  func memory(of path: String) -> UnsafeMutableBufferPointer<Float>? { parts[path] }

  /// What the update of this number, from 1, does.
  func step(_ update: Int) -> StepAveraging { .mix(decay: decay(at: update)) }

  private func decay(at update: Int) -> Double { decay * (1 - exp(-Double(update) / tau)) }

  func addStatistics(of variables: Variables, _ update: Int) {
    let keep = decay(at: update)
    for (path, part) in parts where !variables.isParameter(path) {
      guard let base = part.baseAddress else { continue }
      variables.withFloats(of: path) { values in
        _ = mk_average_mix(base, MK_FLOAT32, values.baseAddress, MK_FLOAT32, part.count, keep, 1 - keep)
      }
    }
  }

  func tensor(_ path: String, _ variables: Variables) throws -> Tensor? {
    guard let part = parts[path], let tensor = variables[path] else { return variables[path] }
    return try Tensor(.float32, tensor.shape) { bytes in bytes.copyMemory(from: UnsafeRawBufferPointer(part)) }
  }

  func set(_ averages: StateDict, _ variables: Variables) throws {
    for (path, part) in parts {
      guard let tensor = averages[path], tensor.dtype == .float32, tensor.shape == variables[path]?.shape else {
        throw ModelError(.mismatch, "the state's average does not fit", subject: path)
      }
      try tensor.copyBytes(to: UnsafeMutableRawBufferPointer(start: part.baseAddress, count: tensor.byteCount))
    }
  }
}
