import ModelCore
import ModelInspection
import ModelReports
import ModelSurgery

/// What a report tells of one model.
extension ModelStudy {
  /// The most rows of a table that is folded.
  static let rowLimit = 400
  /// The most bars of a plot, and histograms.
  private static let (barLimit, histogramLimit) = (64, 36)

  var summaryItems: [ModelReport.Item] {
    var items: [ModelReport.Item] = [.headline(summary)]
    if let info {
      if let reason = info.gflopsReason { items.append(.text("No GFLOPs: \(reason.printable())")) }
      if let name = info.architecture {
        items.append(.text("A bare state dict, recognised as \(name) by names and shapes."))
      }
      if let gflops = info.gflops {
        let figures = FlopsConvention.allCases.map { convention in
          ModelReport.Entry("\(convention.rawValue)", CFormat.string("%.2f", gflops[convention]))
        }
        items.append(
          .entries(details + [.init("GFLOPs", figures.map { "\($0.name) \($0.value)" }.joined(separator: ", "))]))
        return items
      }
    }
    if let reason = onnx?.gflopsReason { items.append(.text(reason.printable(limit: 400))) }
    items.append(.entries(details))
    return items
  }

  func blockItems() throws -> [ModelReport.Item] {
    let note = blocks.note.isEmpty ? [] : [ModelReport.Item.text(blocks.note.printable(limit: 480))]
    let figures = try [bars, operators].compactMap { $0.map(ModelReport.Item.bars) } + weightItems()
    guard let diagram = blocks.diagram else { return note + figures }
    return note + [.pair([.diagram(diagram)], figures)]
  }

  /// Parameters and multiplications of every part that has any; of very many the heaviest.
  private var bars: BarPlot? {
    let knowsMACs = blocks.blocks.contains { $0.macs != nil }
    let colors = blocks.colors
    var rows: [(weight: Double, row: BarPlot.Row)] = blocks.blocks.enumerated().compactMap { index, block in
      guard block.parameters > 0 || block.macs ?? 0 > 0 else { return nil }
      let name = block.path.isEmpty ? "model" : block.path.printable(limit: 120)
      var bars = [Self.bar(Double(block.parameters))]
      if knowsMACs { bars.append(Self.bar(block.macs ?? 0)) }
      return (
        max(Double(block.parameters), (block.macs ?? 0) / 1000), BarPlot.Row(name, bars: bars, color: colors[index])
      )
    }
    if rows.count > Self.barLimit {
      let least = rows.map(\.weight).sorted(by: >)[Self.barLimit - 1]
      rows = Array(rows.filter { $0.weight >= least }.prefix(Self.barLimit))
    }
    var shown = rows.map(\.row)
    if blocks.otherParameters > 0, !shown.isEmpty {
      shown.append(.init("elsewhere", bars: [Self.bar(Double(blocks.otherParameters))], color: 7))
    }
    guard !shown.isEmpty else { return nil }
    return BarPlot(
      title: "By block", measures: knowsMACs ? ["parameters", "MACs"] : ["parameters"], rows: shown)
  }

  private static func bar(_ value: Double) -> BarPlot.Bar {
    .init(value, value > 0 ? FigureText.short(value) : "–")
  }

  /// How often each operator of an ONNX model occurs and what it costs.
  private var operators: BarPlot? {
    guard let onnx else { return nil }
    let sorted = onnx.operators.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
    let rows = sorted.prefix(Self.barLimit).map { name, count in
      BarPlot.Row(
        name.printable(limit: 120),
        bars: [.init(Double(count), FigureText.grouped(count)), Self.bar(onnx.operatorMacs[name] ?? 0)])
    }
    return rows.isEmpty ? nil : BarPlot(title: "By operator", measures: ["nodes", "MACs"], rows: rows)
  }

  // MARK: Weights

  private func weightItems() throws -> [ModelReport.Item] {
    let sizes = blocks.weights.map { $0.reduce(0) { $0 + $1.count } }
    let heaviest = sizes.indices.filter { sizes[$0] > 0 }.sorted { sizes[$0] > sizes[$1] }.prefix(Self.histogramLimit)
    let colors = blocks.colors
    var plots: [HistogramPlot] = []
    for index in heaviest.sorted() {
      // A few values in many parts would be a comb.
      let bins = min(50, max(8, Int(Double(sizes[index]).squareRoot())))
      let histogram = try WeightHistogram(blocks.weights[index], bins: bins)
      guard let mean = histogram.mean, let deviation = histogram.deviation else { continue }
      let path = blocks.blocks[index].path
      var caption = CFormat.string("%.1g ± %.2g", mean, deviation)
      if histogram.zeros * 2000 > histogram.elements {
        caption += ", \(FigureText.percent(Double(histogram.zeros) / Double(histogram.elements))) zero"
      }
      if histogram.nonFinite > 0 { caption += ", not all finite" }
      plots.append(
        HistogramPlot(
          title: path.isEmpty ? "model" : path.printable(limit: 120), caption: caption, counts: histogram.counts,
          range: (histogram.low ?? mean)...(histogram.high ?? mean), color: colors[index]))
    }
    if plots.isEmpty { return [.text("No block has weights of two axes or more.")] }
    let shown = sizes.count { $0 > 0 }
    let which = shown > plots.count ? "the \(plots.count) heaviest of \(shown) blocks" : "each block"
    return [
      .text(
        "The weights of \(which), tensors of two axes or more: mean ± standard deviation. Zeros, and what lies beyond five standard deviations, are not drawn."
      ), .histograms(plots),
    ]
  }

  // MARK: Sparsity

  var sparsityItems: [ModelReport.Item] {
    let share = CFormat.string("%.3g", sparsity.sparsity)
    let (zeros, elements) = (FigureText.grouped(sparsity.zeros), FigureText.grouped(sparsity.elements))
    var items: [ModelReport.Item] = [
      .figures([.init("global sparsity", share), .init("zeros", "\(zeros) of \(elements)")])
    ]
    if !sparsity.notCounted.isEmpty {
      let count = FigureText.count(sparsity.notCounted.count, "parameter")
      items.append(.text("Zeros are not counted in \(count), whose element types are only carried."))
    }
    let wide = sparsity.layers.filter { $0.zeros > 0 && ranks[$0.name, default: 0] > 1 }
    // Random numbers are zero now and then.
    let sparse = wide.filter { $0.zeros * 2000 >= $0.elements }
    if wide.isEmpty {
      items.append(.text("No weight of two axes or more has a zero."))
    } else if sparse.isEmpty {
      items.append(.text("Of every weight of two axes or more less than 0.1 % is zero."))
    } else {
      items.append(.bars(Self.bars(of: sparse)))
    }
    let rows = sparsity.layers.prefix(Self.rowLimit).map { layer in
      [
        layer.name.printable(limit: 120), FigureText.grouped(layer.elements), FigureText.grouped(layer.zeros),
        FigureText.percent(layer.elements == 0 ? 0 : Double(layer.zeros) / Double(layer.elements)),
      ]
    }
    let total = sparsity.layers.count
    let title = total > rows.count ? "Parameters, the first \(rows.count) of \(total)" : "All \(total) parameters"
    return items + [.folded(.init(title: title, columns: ["parameter", "elements", "zeros", "share"], rows: rows))]
  }

  /// Of many the largest.
  private static func bars(of layers: [Sparsity.Layer]) -> BarPlot {
    let largest = layers.indices.sorted { layers[$0].elements > layers[$1].elements }.prefix(barLimit).sorted()
    let more = layers.count > barLimit ? ", the \(barLimit) largest of \(layers.count)" : ""
    return BarPlot(
      title: "Weights with zeros\(more)", measures: ["share of zeros"],
      rows: largest.map { index in
        let share = Double(layers[index].zeros) / Double(max(1, layers[index].elements))
        return .init(layers[index].name.printable(limit: 120), bars: [.init(share, FigureText.percent(share))])
      }, limit: 1)
  }

  // MARK: Fusing

  var fusionItems: [ModelReport.Item] {
    guard let fusion else {
      return [.text("What could be fused is not known: \((fusionReason ?? "").printable(limit: 400)).")]
    }
    if fusion.fused.isEmpty, fusion.refused.isEmpty, fusion.absorbed.isEmpty {
      return [.text("There is nothing to fuse.")]
    }
    var figures: [ModelReport.Entry] = [.init("batch norms to fuse", FigureText.grouped(fusion.fused.count))]
    if !fusion.absorbed.isEmpty {
      figures.append(.init("additions and multiplications", FigureText.grouped(fusion.absorbed.count)))
    }
    let change = fusion.parametersAfter - fusion.parametersBefore
    figures += [
      .init("left as they are", FigureText.grouped(fusion.refused.count)),
      .init("parameters", FigureText.change(change)),
    ]
    var items: [ModelReport.Item] = [.figures(figures)]
    let groups = OrderedDictionary(grouping: fusion.refused, by: \.reason)
    items.append(
      .table(
        .init(
          title: "", columns: ["not fused", "why", "such as"],
          rows: groups.prefix(40).map { reason, refusals in
            let first = refusals[0].conv.isEmpty ? refusals[0].bn : "\(refusals[0].conv) + \(refusals[0].bn)"
            return [FigureText.grouped(refusals.count), reason.printable(), first.printable(limit: 240)]
          })))
    let pairs = fusion.fused.prefix(Self.rowLimit).map { [$0.conv.printable(limit: 120), $0.bn.printable(limit: 120)] }
    let more = fusion.fused.count > pairs.count ? ", the first \(pairs.count)" : ""
    return items + [.folded(.init(title: "The pairs\(more)", columns: ["convolution", "batch norm"], rows: pairs))]
  }
}
