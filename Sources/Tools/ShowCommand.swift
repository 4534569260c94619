import ArgumentParser
import ModelUtils
import SystemPackage

struct Show: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "show",
    abstract: "One tensor: its values, what they are like, and their histogram.",
    discussion: """
      Values are printed as NumPy prints an array: of more than 1000 elements the first and last three along each axis; without --values \
      the first lines of that.

      Examples:
        mutils show yolov5s.pt model.0.conv.weight
        mutils show model.safetensors '*.bn.running_var' --json
      """)

  @Argument(help: ModelSource.help, completion: Completion.models)
  var model: String

  @Argument(help: "The tensor's name; * and ? are wildcards.", completion: Completion.tensors)
  var name: String

  @Option(help: ModelSource.keyHelp)
  var key: String?

  @Flag(help: "Print all of the values' text, not its first lines.")
  var values = false

  @Option(help: ArgumentHelp("How many parts the histogram has.", valueName: "n"))
  var bins = 20

  @OptionGroup var report: ReportOptions

  func validate() throws {
    guard (1...1000).contains(bins) else { throw ValidationError("--bins takes a number from 1 to 1000") }
  }

  func run() throws {
    try report.withThreads {
      let checkpoint = try ModelSource.open(model, key: key, reading: .preferred)
      let state = checkpoint.preferred.stateDict()
      let pattern = Glob(name)
      let found =
        state[name].map { [(name, $0)] } ?? state.filter { pattern.matches($0.name) }.map { ($0.name, $0.tensor) }
      guard !found.isEmpty else {
        let near = state.names.nearest(to: name)
        throw ModelError(
          .missing, "there is no tensor of this name", file: checkpoint.name, subject: name,
          advice: near.isEmpty ? nil : "the nearest are \(near)")
      }
      let shown = try found.map { name, tensor in
        do { return try ShownTensor(name, tensor, bins: bins) } catch let error as ModelError {
          throw error.inFile(checkpoint.name).about(name)
        }
      }
      if report.json { return try Results.print(json: ShowResult(tensors: shown)) }
      Results.print(shown.map { $0.text(lines: values ? .max : 8) }.joined(separator: "\n\n"))
    }
  }
}

private struct ShowResult: Encodable { let tensors: [ShownTensor] }

private struct ShownTensor: Encodable {
  let name: String
  let dtype: DType
  let shape: [Int]
  let bytes: Int
  /// Nil for types whose values are only carried.
  let summary: TensorSummary?
  private let values: String

  private enum CodingKeys: String, CodingKey { case name, dtype, shape, bytes, summary }

  init(_ name: String, _ tensor: Tensor, bins: Int) throws {
    (self.name, dtype, shape, bytes) = (name, tensor.dtype, tensor.shape, tensor.byteCount)
    do { summary = try TensorSummary(tensor, bins: bins) } catch let error as ModelError {
      guard error.kind == .unsupported else { throw error }
      summary = nil
    }
    values = tensor.description
  }

  func text(lines limit: Int) -> String {
    let rows = values.split(separator: "\n", omittingEmptySubsequences: false)
    var lines =
      ["\(name.printable()): \(dtype.rawValue) \(shape), \(Text.bytes(bytes))"] + rows.prefix(limit).map(String.init)
    if rows.count > limit { lines.append("…") }
    guard let summary else { return lines.joined(separator: "\n") }
    func number(_ value: Double?) -> String { value.map { CFormat.string("%.6g", $0) } ?? "-" }
    lines.append(
      "\(FigureText.count(summary.elements, "element")): min \(number(summary.min)), max \(number(summary.max)), "
        + "mean \(number(summary.mean)), deviation \(number(summary.deviation))")
    lines.append("\(FigureText.grouped(summary.zeros)) zero, \(FigureText.grouped(summary.nonFinite)) not finite")
    if let least = summary.min, let greatest = summary.max { lines += histogram(summary.histogram, least, greatest) }
    return lines.joined(separator: "\n")
  }

  private func histogram(_ counts: [Int], _ least: Double, _ greatest: Double) -> [String] {
    guard let most = counts.max(), most > 0 else { return [] }
    let room = 40
    return counts.enumerated().map { index, count in
      let edge = least + (greatest - least) * Double(index) / Double(counts.count)
      let filled = Int((Double(count) / Double(most) * Double(room)).rounded(.up))
      let bar = String(repeating: "#", count: filled) + String(repeating: " ", count: room - filled)
      return CFormat.string("%12.4g", edge) + " |\(bar)| \(FigureText.grouped(count))"
    }
  }
}
