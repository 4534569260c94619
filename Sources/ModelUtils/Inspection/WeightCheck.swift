import CKernels
import ModelCore

/// What is wrong, or will be, with a model's numbers.
public struct WeightCheck: Sendable, Codable {
  /// All that was found: by tensor, in the state dict's order, then the eps of batch norms.
  public let findings: [ModelFinding]

  /// Looks at every floating or complex tensor, in parallel: NaN and infinities (broken), finite numbers that float16 would make
  /// infinite (warning) or zero (info), output channels of a weight that are zero throughout (warning), running
  /// variances below zero (broken) or zero (warning), and the eps of batch norms that is no number from 0 (broken), or
  /// that a bare state dict would lose (info).
  /// - Throws: `ModelError` when elements cannot be read.
  public init(_ model: some WeightContainer) throws {
    var jobs = model.stateDict().tensors.map { Job(name: $0.key, tensor: $0.value) }
    try Parallel.update(&jobs) { job in
      do { try job.run() } catch let error as ModelError { throw error.about(job.name) }
    }
    var findings = jobs.flatMap(\.findings)
    for (path, eps) in model.batchNormEps() where eps != 1e-5 {
      let isSound = eps.isFinite && eps >= 0
      findings.append(
        ModelFinding(
          severity: isSound ? .info : .broken, name: path,
          what: isSound
            ? "its eps of \(eps) is lost in a bare state dict, whose reader takes 1e-05"
            : "its eps is \(eps): what it gives may be no numbers"))
    }
    self.findings = findings
  }

  private struct Job: Sendable {
    let name: String
    let tensor: Tensor
    var findings: [ModelFinding] = []

    private mutating func add(_ severity: ModelFinding.Severity, _ what: String) {
      findings.append(ModelFinding(severity: severity, name: name, what: what))
    }

    /// The types that are carried, not computed with: NaN and infinities alone.
    private mutating func countCarried() throws -> Bool {
      let parts: mk_float
      switch tensor.dtype {
      case .complex128: parts = MK_FLOAT64
      case .complex64: parts = MK_FLOAT32
      case .complex32: parts = MK_FLOAT16
      case .float8E4M3FNUZ, .float8E5M2FNUZ, .float8E8M0FNU:
        let marker: UInt8 = tensor.dtype == .float8E8M0FNU ? 0xff : 0x80
        let count = try tensor.withContiguousBytes { bytes in bytes.count { $0 == marker } }
        if count > 0 { add(.broken, "\(count) of \(tensor.count) elements are NaN") }
        return true
      default: return false
      }
      let count = tensor.count * 2
      let census = try tensor.withContiguousBytes { mk_take_census($0.baseAddress, count, parts, parts) }
      if census.nan > 0 { add(.broken, "\(census.nan) of \(count) real and imaginary parts are NaN") }
      if census.infinite > 0 { add(.broken, "\(census.infinite) of \(count) real and imaginary parts are infinite") }
      return true
    }

    mutating func run() throws {
      if try tensor.count == 0 || countCarried() { return }
      guard let format = tensor.dtype.kernelFormat else { return }
      let (count, rows) = (tensor.count, tensor.shape.first ?? 1)
      let isVariance = name.split(separator: ".").last == "running_var"
      let isWeight = name.split(separator: ".").last == "weight" && tensor.shape.count > 1
      let (census, dead) = try tensor.withContiguousBytes { bytes in
        let census = mk_take_census(bytes.baseAddress, count, format, MK_FLOAT16)
        var dead = 0
        let length = count / max(1, rows)
        if isWeight, census.zero >= length {
          let width = bytes.count / count
          for row in 0..<rows
          where mk_count_zeros(bytes.baseAddress! + row * length * width, length, format) == length { dead += 1 }
        }
        return (census, dead)
      }
      if census.nan > 0 { add(.broken, "\(census.nan) of \(count) elements are NaN") }
      if census.infinite > 0 { add(.broken, "\(census.infinite) of \(count) elements are infinite") }
      if census.overflowing > 0 { add(.warning, "\(census.overflowing) elements would become infinite in float16") }
      if census.flushed > 0 { add(.info, "\(census.flushed) elements would become zero in float16") }
      if dead > 0 { add(.warning, "\(dead) of \(rows) channels are dead: all their weights are zero") }
      if isVariance {
        let values = try tensor.doubles()
        let (negative, zero) = (values.count { $0 < 0 }, values.count { $0 == 0 })
        if negative > 0 { add(.broken, "\(negative) running variances are negative") }
        if zero > 0 { add(.warning, "\(zero) running variances are zero") }
      }
    }
  }
}
