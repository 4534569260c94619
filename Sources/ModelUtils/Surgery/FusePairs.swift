import ModelCore

/// Which batch norms of a bare state dict belong to which convolutions: `layer*.conv1=layer*.bn1`.
///
/// The wildcards of both sides must stand for the same text, so that one pattern names many pairs.
public struct PairPattern: Sendable, Hashable {
  /// The convolution's dotted name.
  public let conv: Glob
  /// The batch norm's dotted name.
  public let bn: Glob

  /// Reads `CONV=BN`.
  /// - Throws: `ModelError` unless the text is two names or patterns joined by `=`.
  public init(_ text: String) throws {
    let sides = text.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
    guard sides.count == 2, !sides.contains("") else {
      throw ModelError(.invalid, "'\(text)' is no pair", advice: "write CONV=BN, for example 'layer*.conv1=layer*.bn1'")
    }
    (conv, bn) = (Glob(sides[0]), Glob(sides[1]))
  }

  /// The pairs that patterns name, in order.
  /// - Throws: `ModelError` for a pattern that names none, and a layer in two pairs.
  static func pairs(_ patterns: [PairPattern], convs: [String], norms: [String]) throws -> [FusionReport.Pair] {
    let pairs = try patterns.flatMap { try $0.pairs(convs: convs, norms: norms) }
    for names in [pairs.map(\.conv), pairs.map(\.bn)] {
      var seen: Set<String> = []
      if let twice = names.first(where: { !seen.insert($0).inserted }) {
        throw ModelError(.invalid, "is named in two pairs", subject: twice)
      }
    }
    return pairs
  }

  private func pairs(convs: [String], norms: [String]) throws -> [FusionReport.Pair] {
    let convs = convs.compactMap { name in conv.captures(name).map { (name, $0) } }
    let norms = Dictionary(
      norms.compactMap { name in bn.captures(name).map { ($0, name) } }, uniquingKeysWith: { first, _ in first })
    let pairs = convs.compactMap { conv, captures in norms[captures].map { FusionReport.Pair(conv: conv, bn: $0) } }
    guard !pairs.isEmpty else {
      throw ModelError(
        .missing,
        convs.isEmpty
          ? "names no convolution"
          : norms.isEmpty ? "names no batch norm" : "its wildcards agree for no convolution and batch norm",
        subject: "--pair \(conv.pattern)=\(bn.pattern)")
    }
    return pairs
  }
}

extension StateDict {
  /// Fuses the pairs that the caller vouches for: a state dict alone says neither what follows what nor a batch norm's
  /// eps.
  ///
  /// The batch norm's entries (`num_batches_tracked` included) go; the convolution gains a bias behind its weight. A
  /// transposed convolution cannot be told from a plain one here and is taken for one.
  /// - Parameters:
  ///   - patterns: each must name at least one pair.
  ///   - eps: of all these batch norms: 1e-5 is PyTorch's default, YOLO's models use 1e-3.
  /// - Throws: `ModelError` for a pattern that names nothing, a layer in two pairs, or tensors that do not fit
  ///   together or cannot be read; the state dict is then as it was.
  @discardableResult
  public mutating func fuse(_ patterns: [PairPattern], eps: Double) throws -> FusionReport {
    guard eps >= 0, eps.isFinite else { throw ModelError(.invalid, "eps \(eps) is not a number of 0 or more") }
    let pairs = try PairPattern.pairs(patterns, convs: convolutionNames, norms: batchNormNames)
    var report = FusionReport()
    report.isOrderGiven = true
    report.parametersBefore = parameterCount
    report.fused = pairs
    let named = Set(pairs.map(\.bn))
    report.refused = batchNormNames.filter { !named.contains($0) }.map {
      .init(conv: "", bn: $0, reason: "no --pair names it")
    }
    var uses: [Tensor.Identity: Int] = [:]
    for tensor in tensors.values where tensor.count > 0 { uses[tensor.identity, default: 0] += 1 }
    var foldings = try pairs.map { try folding($0, eps: eps, uses) }
    // The weights leave the state dict while they are scaled, so that memory of our own is changed in place.
    let placeholder = try Tensor(.float32, [0])
    for pair in pairs { tensors["\(pair.conv).weight"] = placeholder }
    do { try Parallel.update(&foldings) { try $0.run() } } catch {
      for (pair, folding) in zip(pairs, foldings) { tensors["\(pair.conv).weight"] = folding.weight }
      throw error
    }
    replace(Dictionary(uniqueKeysWithValues: zip(pairs.map(\.conv), foldings)), without: named)
    report.parametersAfter = parameterCount
    return report
  }

  /// The modules that have a weight of two axes or more.
  private var convolutionNames: [String] {
    names.filter { $0.hasSuffix(".weight") && tensors[$0].map { $0.shape.count >= 2 } == true }
      .map { String($0.dropLast(".weight".count)) }
  }

  /// The modules that have running statistics.
  private var batchNormNames: [String] {
    names.filter { $0.hasSuffix(".running_var") }.map { String($0.dropLast(".running_var".count)) }
      .filter { tensors["\($0).running_mean"] != nil }
  }

  private func folding(
    _ pair: FusionReport.Pair, eps: Double, _ uses: [Tensor.Identity: Int]
  ) throws -> BatchNormFolding {
    guard let weight = tensors["\(pair.conv).weight"], let mean = tensors["\(pair.bn).running_mean"],
      let variance = tensors["\(pair.bn).running_var"]
    else { throw ModelError(.missing, "is missing", subject: pair.bn) }
    guard uses[weight.identity, default: 0] < 2 else {
      throw ModelError(.unsupported, "shares its weight with another layer, so it cannot be fused", subject: pair.conv)
    }
    do {
      return try BatchNormFolding(
        weight: weight, bias: tensors["\(pair.conv).bias"], isTransposed: false, groups: 1,
        normalization: BatchNormTensors(
          weight: tensors["\(pair.bn).weight"], bias: tensors["\(pair.bn).bias"], runningMean: mean,
          runningVar: variance,
          eps: eps))
    } catch let error as ModelError {
      throw error.about("\(pair.conv) and \(pair.bn)")
    }
  }

  /// Puts the fused tensors in, each bias behind its weight, and takes the batch norms' entries out.
  private mutating func replace(_ foldings: [String: BatchNormFolding], without norms: Set<String>) {
    var result: OrderedDictionary<String, Tensor> = [:]
    result.reserveCapacity(tensors.count)
    let entries: Set<Substring> = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    for (name, tensor) in tensors {
      let dot = name.lastIndex(of: ".") ?? name.startIndex
      let (module, entry) = (String(name[..<dot]), name[dot...].drop { $0 == "." })
      if norms.contains(module), entries.contains(entry) { continue }
      guard let folding = foldings[module], entry == "weight" || entry == "bias" else {
        result[name] = tensor
        continue
      }
      if entry == "weight" { result[name] = folding.weight }
      result["\(module).bias"] = folding.bias
    }
    tensors = result
  }

  /// The elements of all entries that are weights: floating and no running statistics. Tied ones count once.
  var parameterCount: Int {
    var seen: Set<Tensor.Identity> = []
    return tensors.filter {
      isParameter($0.key, $0.value) && ($0.value.count == 0 || seen.insert($0.value.identity).inserted)
    }
    .reduce(0) { $0 + $1.value.count }
  }
}
