import ModelCore
import ModelInspection
import ModelReports
import ModelSurgery

extension ModelReport {
  /// A report on a model, or on several side by side. Reads the values of all weights.
  /// - Parameters:
  ///   - models: what they are.
  ///   - difference: how the tensors of two differ.
  /// - Throws: `ModelError` when a tensor cannot be read.
  public init(_ models: [ModelStudy], difference: StateDictDiff? = nil) throws {
    let names = models.map { $0.name.printable(limit: 200) }
    self.init(title: names.joined(separator: " and "), names: names)
    func section(_ title: String, _ column: (ModelStudy) throws -> [Item]) rethrows {
      sections.append(Section(title, columns: try models.map(column)))
    }
    section("Summary", \.summaryItems)
    if let difference, models.count == 2 { sections.append(Self.comparison(models[0], models[1], difference)) }
    try section("Blocks") { try $0.blockItems() }
    section("Sparsity", \.sparsityItems)
    section("Fusing", \.fusionItems)
  }

  private static func comparison(_ first: ModelStudy, _ second: ModelStudy, _ diff: StateDictDiff) -> Section {
    var figures = [
      Entry(
        "tensors that differ", "\(FigureText.grouped(diff.differing.count)) of \(FigureText.grouped(diff.compared))")
    ]
    if let most = diff.differing.compactMap(\.maxAbs).max() {
      figures.append(Entry("greatest difference", CFormat.string("%.3g", most)))
    }
    figures.append(Entry("parameters", FigureText.change(second.parameters - first.parameters)))
    if let before = first.macs, let after = second.macs {
      let change = after - before
      figures.append(Entry("MACs", (change < 0 ? "-" : change > 0 ? "+" : "") + FigureText.short(abs(change))))
    }
    figures.append(
      Entry(
        "sparsity",
        "\(FigureText.percent(first.sparsity.sparsity)) → \(FigureText.percent(second.sparsity.sparsity))"))
    var items: [Item] = [.figures(figures)]
    for (place, names) in [("first", diff.onlyInFirst), ("second", diff.onlyInSecond)] where !names.isEmpty {
      let list = names.prefix(8).map { $0.printable(limit: 120) }.joined(separator: ", ")
      items.append(
        .text("\(FigureText.count(names.count, "tensor")) only in the \(place): \(list)\(names.count > 8 ? ", …" : "")")
      )
    }
    let sorted = diff.differing.sorted { ($0.maxAbs ?? .infinity) > ($1.maxAbs ?? .infinity) }
    items.append(.folded(Self.table("The tensors that differ most", of: sorted)))
    if diff.equal { items.append(.text("All \(FigureText.grouped(diff.compared)) tensors are equal.")) }
    return Section("Difference", common: items)
  }

  private static func table(_ title: String, of entries: [StateDictDiff.Entry]) -> Table {
    Table(
      title: entries.count > ModelStudy.rowLimit ? "\(title), \(ModelStudy.rowLimit) of \(entries.count)" : title,
      columns: ["tensor", "shape", "elements that differ", "at most", "relative", "cosine"],
      rows: entries.prefix(ModelStudy.rowLimit).map { entry in
        func figure(_ value: Double?, _ format: String) -> String { value.map { CFormat.string(format, $0) } ?? "–" }
        let shapes = [entry.firstShape, entry.secondShape].map(ShapeText.one)
        return [
          entry.name.printable(limit: 120), shapes[0] == shapes[1] ? shapes[0] : "\(shapes[0]) → \(shapes[1])",
          entry.elements.map(FigureText.grouped) ?? "–", figure(entry.maxAbs, "%.3g"),
          figure(entry.maxRelative, "%.3g"),
          figure(entry.cosine, "%.6f"),
        ]
      })
  }
}
