import CKernels
import ModelCore

/// One tensor of an update.
struct AverageJob: Sendable {
  let name: String
  let slot: Int
  private(set) var source: Tensor
  let rule: AveragedWeights.Rule
  /// A placeholder until the average is taken out of its slot.
  var average: Tensor
  /// What takes the average's place, where it is not changed in place.
  private var replacement: Tensor?
  var isNonFinite = false
  /// Whether it is divided among threads rather than being one job among others.
  var isDivided = false

  /// Elements that one thread takes at a time.
  private static let chunk = 1 << 17

  init(name: String, slot: Int, source: Tensor, rule: AveragedWeights.Rule, average: Tensor) {
    (self.name, self.slot, self.source, self.rule, self.average) = (name, slot, source, rule, average)
  }

  /// Does all that can fail, while `current` is still the average.
  mutating func prepare(replacing current: Tensor) throws {
    do {
      if current.dtype.kernelFormat != nil, source.dtype.kernelFormat != nil, !isCopy {
        if !source.isReadable { source = try source.materialized() }
      } else {
        isNonFinite = try source.hasNonFinite()
        replacement = try replaced(current)
      }
    } catch let error as ModelError { throw error.about(name) }
  }

  mutating func run() throws {
    if let replacement {
      average = replacement
    } else if let to = average.dtype.kernelFormat, let from = source.dtype.kernelFormat {
      try average(to, from)
    }
  }

  private var isCopy: Bool {
    if case .copy = rule { true } else { false }
  }

  private mutating func average(_ to: mk_float, _ from: mk_float) throws {
    guard source.count > 0 else { return }
    let (rule, count, isDivided) = (rule, source.count, isDivided)
    let bytes = try ContiguousBytes(source)
    isNonFinite = try average.updateBytes { memory in
      Self.mix(rule, memory, to, bytes.bytes, from, count, isDivided: isDivided)
    }
    withExtendedLifetime(bytes) {}
  }

  /// Takes elements into those of an average.
  /// - Returns: whether one of them is NaN or infinite.
  @discardableResult private static func mix(
    _ rule: AveragedWeights.Rule, _ memory: UnsafeMutableRawBufferPointer, _ to: mk_float,
    _ model: UnsafeRawBufferPointer, _ from: mk_float, _ count: Int, isDivided: Bool
  ) -> Bool {
    guard count > 0 else { return false }
    let (toWidth, fromWidth) = (memory.count / count, model.count / count)
    let chunks = (count + chunk - 1) / chunk
    var flags = [Bool](repeating: false, count: chunks)
    flags.withUnsafeMutableBufferPointer { buffer in
      nonisolated(unsafe) let (start, flags) = (memory.baseAddress!, buffer)
      nonisolated(unsafe) let model = model.baseAddress!
      let part: @Sendable (Int) -> Void = { index in
        let first = index * chunk
        let length = min(chunk, count - first)
        let (p, q) = (start + first * toWidth, model + first * fromWidth)
        flags[index] =
          switch rule {
          case .keep, .copy: false
          case .mix(let keep, let weight): mk_average_mix(p, to, q, from, length, keep, weight)
          case .lerp(let weight): mk_average_lerp(p, to, q, from, length, weight)
          case .running(let divisor): mk_average_running(p, to, q, from, length, divisor)
          }
      }
      if isDivided { Parallel.forEach(chunks, part) } else { for index in 0..<chunks { part(index) } }
    }
    return flags.contains(true)
  }

  /// The average that reads `current` and the model when it is read itself, in the memory that it is read into.
  func streamed(over current: Tensor) throws -> Tensor {
    do {
      guard !isCopy, let to = current.dtype.kernelFormat, let from = source.dtype.kernelFormat else {
        return try replaced(current)
      }
      let (source, rule) = (source, rule)
      guard current.isDivisible, source.isDivisible, let width = current.dtype.byteWidth else {
        return try Tensor(computed: current.dtype, current.shape) { memory in
          try current.copyBytes(to: memory)
          current.releasePages()
          try source.withContiguousBytes { _ = Self.mix(rule, memory, to, $0, from, source.count, isDivided: true) }
          source.releasePages()
        }
      }
      return try Tensor(computedInParts: current.dtype, current.shape) { part, memory in
        let elements = part.lowerBound / width..<part.upperBound / width
        try current.copyBytes(of: elements, to: memory)
        current.releasePages()
        try source.withContiguousBytes(of: elements) {
          _ = Self.mix(rule, memory, to, $0, from, elements.count, isDivided: true)
        }
        source.releasePages()
      }
    } catch let error as ModelError { throw error.about(name) }
  }

  /// A copy; or integers, which are averaged in float32 and truncated, as PyTorch does with integers times a real.
  private func replaced(_ average: Tensor) throws -> Tensor {
    if isCopy { return try source.cast(to: average.dtype).materialized() }
    if average.dtype.kernelFormat != nil {
      var job = AverageJob(
        name: name, slot: slot, source: try source.cast(to: average.dtype), rule: rule, average: average)
      try job.run()
      return job.average
    }
    let old = try average.doubles().map { Float($0) }
    let new = try source.doubles().map { Float($0) }
    let values = zip(old, new).map { old, new -> Float in
      switch rule {
      case .keep: return old
      case .copy: return new
      case .mix(let keep, let weight):
        let kept = old * Float(keep)
        return kept + Float(weight) * new
      case .lerp(let weight): return old + Float(weight) * (new - old)
      case .running(let divisor): return old + (new - old) / Float(divisor)
      }
    }
    return try Tensor(integers: values.map { Double($0) }, average.dtype, average.shape)
  }
}
