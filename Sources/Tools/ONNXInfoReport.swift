import ModelUtils

/// What `info` tells of an ONNX model.
struct ONNXInfoReport {
  private let model: ONNXModel
  private let info: ONNXInfo

  init(_ model: ONNXModel, _ inputs: ONNXInputs) throws {
    self.model = model
    do { info = try ONNXInfo(model, inputs) } catch let error as ModelError { throw error.inFile(model.name) }
  }

  func show(
    _ report: ReportOptions, asked size: ImageSize?, convention: FlopsConvention?, detailed: Bool, modules: Bool
  ) throws {
    report.talk.note(sizes: info.sizedFor.map(\.shape), imageSize: size, batchSize: nil)
    if let convention, convention != .macs {
      report.note(
        "an ONNX model's figure is of multiplications, --convention macs: \(convention.rawValue) counts PyTorch's modules"
      )
    }
    if report.json { return try Results.print(json: ONNXInfoResult(info: info)) }
    Results.print(info.summary)
    for input in info.inputs { Results.print("  input   \(input.description.printable())") }
    for output in info.outputs { Results.print("  output  \(output.description.printable())") }
    let producer = info.producer.isEmpty ? "" : ", by \(info.producer.printable())"
    Results.print("  opset \(info.opset), format \(info.ir)\(producer)")
    let operators = info.operators.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    Results.print("  operators: " + operators.map { "\($0.value) \($0.key.printable())" }.joined(separator: ", "))
    let costs = info.operatorMacs.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    if !costs.isEmpty {
      let texts = costs.map { "\($0.key.printable()) " + CFormat.string("%.3g", $0.value / 1e9) }
      Results.print("  GMACs by operator: " + texts.joined(separator: ", "))
    }
    let activation = info.largestActivationBytes.map { ", the largest activation \($0)" } ?? ""
    Results.print("  weights take \(info.weightBytes) bytes\(activation)")
    for (key, value) in info.metadata.sorted(by: { $0.key < $1.key }) {
      Results.print("  \(key.printable()): \(value.printable(limit: 120))")
    }
    if let reason = info.gflopsReason {
      let unsized = info.unsized.filter { $0.type == "input" }.map(\.name)
      let example = model.openInputs.first { $0.name == unsized.first }?.exampleShape
      let advice = example.map { "; give --shape \($0) or the like for \(Text.list(unsized))" } ?? ""
      report.note((reason + advice).printable(limit: 600))
    }
    let open = info.inputs.filter { $0.shape?.contains { if case .fixed(let n) = $0 { n <= 0 } else { true } } ?? true }
    if !open.isEmpty {
      let sizes = info.sizedFor.filter { size in open.contains { $0.name == size.name } }
        .map { "\($0.name.printable()) \($0.shape)" }
      if !sizes.isEmpty {
        report.note("sized for \(sizes.joined(separator: ", ")); give --image-size, --shape or --value for others")
      }
    }
    if detailed { Results.print(try model.stateDict().parameterTable().description) }
    if modules { table() }
  }

  private func table() {
    let total = max(info.gflops?.macs ?? 0, .leastNonzeroMagnitude) * 1e9
    let rows = info.modules.map { node in
      [
        node.name.printable(), node.type.printable(), node.output.map { "\($0)" } ?? "?",
        node.macs > 0 ? CFormat.string("%.4g", node.macs) : "",
        node.macs > 0 ? CFormat.string("%.1f", node.macs / total * 100) : "",
      ]
    }
    let header = ["name", "type", "output", "MACs", "percent"]
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    for row in [header] + rows {
      let cells = row.indices.map { column in
        let padding = String(repeating: " ", count: widths[column] - row[column].count)
        return column < 3 ? row[column] + padding : padding + row[column]
      }
      Results.print(cells.joined(separator: "  "))
    }
  }
}

private struct ONNXInfoResult: Encodable {
  let info: ONNXInfo

  private enum Key: String, CodingKey { case format }

  func encode(to encoder: any Encoder) throws {
    try info.encode(to: encoder)
    var container = encoder.container(keyedBy: Key.self)
    try container.encode("onnx", forKey: .format)
  }
}
