import CKernels
import ModelCore
import ModelRandom

/// One run of a method over the chosen weights.
struct Pruning {
  let options: PruneOptions
  /// What was pruned before, by the weights' names.
  private let masks: PruningMasks

  init(_ options: PruneOptions, masks: PruningMasks) { (self.options, self.masks) = (options, masks) }

  func run(_ weights: inout [NamedTensor]) throws -> [PruneReport.Layer] {
    for weight in weights where weight.tensor.dtype.kernelFormat == nil {
      throw ModelError(.unsupported, "\(weight.tensor.dtype.rawValue) weights cannot be pruned", subject: weight.name)
    }
    let zeros: [Int]
    switch options.method {
    case .l1: zeros = try magnitude(&weights)
    case .global: zeros = try globalMagnitude(&weights)
    case .random(let seed): zeros = try random(&weights, seed: seed)
    case .randomStructured(let seed, let axis):
      var generator = TorchGenerator(seed: seed)
      zeros = try structured(&weights, axis: axis) { _, left in
        left.map { _ in Double(generator.uniformFloat32()) }
      }
    case .structured(let norm, let axis):
      guard !norm.isNaN else { throw ModelError(.invalid, "the norm is no number") }
      zeros = try structured(&weights, axis: axis) { tensor, left in
        let norms = try Slices(tensor, axis: axis).norms(norm)
        return left.map { norms[$0] }
      }
    case .pattern(let keep, let group): zeros = try pattern(&weights, keep: keep, group: group)
    case .custom(let masks): zeros = try custom(&weights, masks)
    }
    return zip(weights, zeros).map { .init(name: $0.name, elements: $0.tensor.count, zeros: $1) }
  }

  // MARK: By magnitude

  /// A weight on its way through `Parallel.update`.
  private struct Job {
    var tensor: Tensor
    let name: String
    let count: Int
    var zeros = 0
  }

  private func magnitude(_ weights: inout [NamedTensor]) throws -> [Int] {
    // Counts are checked for all before the first weight changes.
    var jobs = try weights.map { weight in
      Job(tensor: weight.tensor, name: weight.name, count: try count(of: weight.tensor, weight.name))
    }
    let placeholder = try Tensor(.float32, [0])
    for index in weights.indices { weights[index].tensor = placeholder }
    // The largest first, so that no thread is left with a large one at the end.
    let order = jobs.indices.sorted { jobs[$0].tensor.count > jobs[$1].tensor.count }
    var sorted = order.map { jobs[$0] }
    jobs = []
    defer {
      for (position, index) in order.enumerated() { weights[index].tensor = sorted[position].tensor }
    }
    try Parallel.update(&sorted) { job in
      do { job.zeros = try Self.zeroSmallest(&job.tensor, count: job.count) } catch let error as ModelError {
        throw error.about(job.name)
      }
    }
    var zeros = [Int](repeating: 0, count: order.count)
    for (position, index) in order.enumerated() { zeros[index] = sorted[position].zeros }
    return zeros
  }

  private func count(of tensor: Tensor, _ name: String) throws -> Int {
    let masked = maskedCount(of: name)
    do { return try count(total: tensor.count, masked: masked) { try Sparsity.zeros(in: tensor) } } catch let error
      as ModelError
    {
      throw error.about(name)
    }
  }

  /// How many elements of a weight an earlier mask took.
  private func maskedCount(of name: String) -> Int { masks[name].map { $0.count { $0 == 0 } } ?? 0 }

  private func count(total: Int, masked: Int, zeros: () throws -> Int) throws -> Int {
    let pruned = options.isRepeated ? try zeros() : masked
    return pruned + (try options.amount.count(of: total - pruned))
  }

  /// Zeroes the `count` smallest magnitudes; returns the zeros that there are then.
  private static func zeroSmallest(_ tensor: inout Tensor, count: Int) throws -> Int {
    guard let format = tensor.dtype.kernelFormat, count > 0 else { return try Sparsity.zeros(in: tensor) }
    let threshold = try tensor.withContiguousBytes { bytes in
      try select([mk_span(data: bytes.baseAddress, count: tensor.count, type: format)], count: count)
    }
    // With a threshold above zero all zeros are among the smallest.
    let zeros = threshold.magnitude == 0 ? try Sparsity.zeros(in: tensor) : count
    try zero(&tensor, threshold, format)
    return zeros
  }

  /// Zeroes what is below a threshold, and as many as it says of the elements that are equal to it, the first.
  private static func zero(_ tensor: inout Tensor, _ threshold: mk_threshold, _ format: mk_float) throws {
    // How many of those stand before each place where a part may begin. A part of what this is converted to before it is
    // written is an eighth as large here, or larger.
    let length = Storage.partSize / 8 / (tensor.dtype.byteWidth ?? 1)
    var before = [0]
    if tensor.count > length, tensor.isDivisible, !tensor.isInMemory {
      for start in stride(from: 0, to: tensor.count, by: length) {
        let elements = start..<min(start + length, tensor.count)
        let equal = try tensor.withContiguousBytes(of: elements) {
          mk_count_equal($0.baseAddress, elements.count, format, threshold.magnitude)
        }
        before.append(before[before.count - 1] + equal)
      }
    }
    try tensor.rewriteInParts { [before] destination, source, elements in
      var rest = threshold
      rest.ties -= min(rest.ties, before[elements.lowerBound / length])
      mk_zero_smallest(destination, source, elements.count, format, &rest)
    }
  }

  private static func select(_ spans: [mk_span], count: Int) throws -> mk_threshold {
    var threshold = mk_threshold()
    guard mk_select_smallest(spans, spans.count, count, &threshold) else {
      throw ModelError(.limit, "there is not enough memory")
    }
    return threshold
  }

  private func globalMagnitude(_ weights: inout [NamedTensor]) throws -> [Int] {
    let total = weights.reduce(0) { $0 + $1.tensor.count }
    let masked = weights.reduce(0) { $0 + maskedCount(of: $1.name) }
    let count = try count(total: total, masked: masked) {
      try weights.reduce(0) { $0 + (try $1.zeros()) }
    }
    guard count > 0 else { return try weights.map { try $0.zeros() } }
    var threshold = try { () throws -> mk_threshold in
      let held = try weights.map { try ContiguousBytes($0.tensor) }
      let spans = zip(weights, held).map { weight, bytes in
        mk_span(
          data: bytes.bytes.baseAddress, count: weight.tensor.count,
          type: weight.tensor.dtype.kernelFormat ?? MK_FLOAT32)
      }
      return try withExtendedLifetime(held) { try Self.select(spans, count: count) }
    }()
    // Each weight takes its part of the ties, in order.
    for index in weights.indices {
      guard let format = weights[index].tensor.dtype.kernelFormat else { continue }
      let before = threshold
      let size = weights[index].tensor.count
      if threshold.ties > 0 {
        try weights[index].tensor.withContiguousBytes { bytes in
          threshold.ties -= min(threshold.ties, mk_count_equal(bytes.baseAddress, size, format, threshold.magnitude))
        }
      }
      try Self.zero(&weights[index].tensor, before, format)
    }
    return try weights.map { try $0.zeros() }
  }

  // MARK: At random, by slices, by pattern

  private func random(_ weights: inout [NamedTensor], seed: UInt64) throws -> [Int] {
    let kept = weights.map { weight in masks[weight.name].map { mask in mask.indices.filter { mask[$0] != 0 } } }
    let counts = try zip(weights, kept).map { weight, kept in
      do { return try options.amount.count(of: kept?.count ?? weight.tensor.count) } catch let error as ModelError {
        throw error.about(weight.name)
      }
    }
    var generator = TorchGenerator(seed: seed)
    for (index, count) in counts.enumerated() where count > 0 {
      let size = kept[index]?.count ?? weights[index].tensor.count
      let draws = try generator.uniform(weights[index].tensor.dtype, size)
      // PyTorch removes the largest draws: everything but the smallest of them.
      let threshold = try draws.withUnsafeBufferPointer {
        try Self.select([mk_span(data: $0.baseAddress, count: size, type: MK_FLOAT64)], count: size - count)
      }
      var ties = threshold.ties
      let drawn = draws.map { draw -> UInt8 in
        if draw < threshold.magnitude { return 1 }
        guard draw == threshold.magnitude, ties > 0 else { return 0 }
        ties -= 1
        return 1
      }
      var mask = masks[weights[index].name] ?? drawn
      for (place, keep) in zip(kept[index] ?? [], drawn) { mask[place] = keep }
      try weights[index].tensor.zero(where: mask)
    }
    return try weights.map { try $0.zeros() }
  }

  /// Zeroes the slices along an axis with the lowest scores.
  /// - Parameter scores: of the slices of a tensor whose indices are given.
  private func structured(
    _ weights: inout [NamedTensor], axis: Int, scores: (Tensor, [Int]) throws -> [Double]
  ) throws -> [Int] {
    var masks: [[UInt8]?] = []
    for weight in weights {
      do {
        let slices = try Slices(weight.tensor, axis: axis)
        let left = self.masks[weight.name].map(slices.kept) ?? Array(0..<slices.length)
        let count = try options.amount.count(of: left.count)
        guard count > 0 else {
          masks.append(nil)
          continue
        }
        let scores = try scores(weight.tensor, left)
        // NaN sorts greatest.
        let order = scores.indices.sorted {
          (scores[$0].isNaN ? 1 : 0, scores[$0].isNaN ? 0 : scores[$0], $0) < (
            scores[$1].isNaN ? 1 : 0, scores[$1].isNaN ? 0 : scores[$1], $1
          )
        }
        var keep = [Bool](repeating: true, count: slices.length)
        for place in order.prefix(count) { keep[left[place]] = false }
        masks.append(slices.mask(keep))
      } catch let error as ModelError {
        throw error.about(weight.name)
      }
    }
    for (index, mask) in masks.enumerated() {
      if let mask { try weights[index].tensor.zero(where: mask) }
    }
    return try weights.map { try $0.zeros() }
  }

  private func custom(_ weights: inout [NamedTensor], _ masks: StateDict) throws -> [Int] {
    if let unknown = masks.names.subtracting(weights.map(\.name)).first {
      throw ModelError(.mismatch, "is a mask of no weight that is pruned", subject: unknown)
    }
    let bytes = try weights.map { weight in
      guard let mask = masks[weight.name] else { return [UInt8]?.none }
      guard mask.shape == weight.tensor.shape else {
        throw ModelError(
          .mismatch, "the mask has shape \(mask.shape), the weight \(weight.tensor.shape)", subject: weight.name)
      }
      return try mask.doubles().map { $0 == 0 ? 0 : 1 }
    }
    for (index, mask) in bytes.enumerated() {
      if let mask { try weights[index].tensor.zero(where: mask) }
    }
    return try weights.map { try $0.zeros() }
  }

  private func pattern(_ weights: inout [NamedTensor], keep: Int, group: Int) throws -> [Int] {
    guard keep >= 0, (1...64).contains(group), keep <= group else {
      throw ModelError(.invalid, "the pattern \(keep):\(group) is not N:M with N at most M and M from 1 to 64")
    }
    for index in weights.indices {
      let tensor = weights[index].tensor
      guard let format = tensor.dtype.kernelFormat, tensor.shape.count >= 2 else { continue }
      let (outer, axis) = (tensor.shape[0], tensor.shape[1])
      let inner = tensor.shape.dropFirst(2).reduce(1, *)
      try weights[index].tensor.rewrite { destination, source in
        mk_keep_largest(destination, source, outer, axis, inner, keep, group, format)
      }
    }
    return try weights.map { try $0.zeros() }
  }
}
