import ModelReports
import TestSupport
import Testing

@Suite struct BarPlotTests {
  private func bars(_ plot: BarPlot) throws -> [[String]] {
    try #require(elements(plot.svg())).filter { $0.name == "rect" && $0.attributes["class"] != "mu-ground" }.map {
      bar in
      ["class", "x", "y", "width", "height"].map { bar.attributes[$0] ?? "" }
    }
  }

  private func words(_ plot: BarPlot) throws -> [String] {
    try #require(elements(plot.svg())).filter { $0.name == "text" }.map(\.text)
  }

  @Test func knownLengths() throws {
    let plot = BarPlot(
      title: "By block", measures: ["parameters", "MACs"],
      rows: [
        .init("a", bars: [.init(50, "50"), .init(3, "3 G")]),
        .init("bb", bars: [.init(100, "100"), .init(0, "–")], color: 9),
      ])
    // Names end at 76; the panels begin at 86 and 302, and the longest bar of each has 136 of their 202.
    #expect(
      try bars(plot) == [
        ["mu-d0", "86", "59.5", "68", "11"], ["mu-d0", "302", "59.5", "136", "11"],
        ["mu-d1", "86", "79.5", "136", "11"],
      ])
    #expect(try words(plot) == ["By block", "parameters", "MACs", "a", "50", "3 G", "bb", "100", "–"])
    let all = try #require(elements(plot.svg()))
    #expect(all.last?.attributes["viewBox"] == "0 0 520 108")
    #expect(all.filter { $0.name == "title" }.map(\.text) == ["a: 50", "a: 3 G", "bb: 100"])
  }

  @Test func aLimit() throws {
    let plot = BarPlot(
      title: "", measures: ["share"],
      rows: [.init("a", bars: [.init(0.25, "25 %")]), .init("b", bars: [.init(2, "2")])],
      limit: 1)
    #expect(try bars(plot).map { $0[3] } == ["88", "352"])
  }

  @Test func whatIsNoLength() throws {
    let rows = [nil, .nan, -1, .infinity, 0].map { BarPlot.Row("x", bars: [.init($0, "-")]) }
    let plot = BarPlot(title: "", measures: ["m"], rows: rows + [.init("none", bars: [])])
    #expect(try bars(plot).isEmpty)
  }

  @Test func noneAndMany() throws {
    #expect(try words(BarPlot(title: "t", measures: ["m"], rows: [])) == ["t", "m", "no values"])
    #expect(try words(BarPlot(title: "t", measures: [], rows: [.init("a", bars: [])])) == ["t", "a"])
    let rows = (0..<500).map { BarPlot.Row("row \($0)", bars: [.init(Double($0), "\($0)")], color: -$0) }
    let svg = BarPlot(title: "many", measures: ["m"], rows: rows).svg()
    #expect(elements(svg) != nil && svg.utf8.count < 200_000)
  }

  @Test func textIsEscaped() throws {
    let bad = "<script>&\"'\0"
    let plot = BarPlot(title: bad, measures: [bad], rows: [.init(bad, bars: [.init(1, bad)])])
    #expect(!plot.svg().contains("<script"))
    #expect(try words(plot).first == "<script>&\"'\u{fffd}")
    // The end of a path tells most.
    let long = BarPlot(
      title: "", measures: ["a", "b"], rows: [.init("encoder.layers.encoder_layer_11.mlp", bars: [.init(1, "1")])])
    #expect(try words(long).contains("…layers.encoder_layer_11.mlp"))
  }

  @Test func aFile() throws {
    let folder = try TemporaryFolder()
    let plot = BarPlot(title: "", measures: ["m"], rows: [.init("a", bars: [.init(1, "1")])])
    try plot.write(to: folder["bars.svg"])
    #expect(try text(folder["bars.svg"]) == plot.svg())
  }
}
