import ModelReports
import TestSupport
import Testing

@Suite struct HistogramPlotTests {
  private func paths(_ plot: HistogramPlot) throws -> [String] {
    try #require(elements(plot.svg())).filter { $0.name == "path" }.compactMap { $0.attributes["d"] }
  }

  private func words(_ plot: HistogramPlot) throws -> [String] {
    try #require(elements(plot.svg())).filter { $0.name == "text" }.map(\.text)
  }

  @Test func steps() throws {
    let plot = HistogramPlot(title: "conv", caption: "0 ± 1", counts: [1, 2, 0, 2], range: -1...3, color: 8)
    // Four parts of 41 each from 12 on, 62 high above 92; zero stands a quarter of the way.
    #expect(try paths(plot) == ["M12 92V61H53V30H94V92H135V30H176V92Z", "M53 30V92", "M12 92H176"])
    #expect(try words(plot) == ["conv", "-1", "3", "0 ± 1"])
    #expect(try #require(elements(plot.svg())).contains { $0.attributes["class"] == "mu-d0" })
  }

  @Test func equalPartsAreOneStep() throws {
    let plot = HistogramPlot(title: "", counts: [3, 3, 3], range: 1...2)
    #expect(try paths(plot) == ["M12 92V30H176V92Z", "M12 92H176"])
  }

  @Test func noneAndOne() throws {
    for counts in [[], [0, 0]] {
      let plot = HistogramPlot(title: "t", counts: counts, range: 0...0)
      #expect(try paths(plot) == ["M12 92H176"] && words(plot).contains("no range"))
    }
    #expect(try paths(HistogramPlot(title: "", counts: [7], range: 0...1))[0] == "M12 92V30H176V92Z")
  }

  @Test func textIsEscaped() throws {
    let plot = HistogramPlot(title: "<script>", caption: "</svg>", counts: [1], range: 0...1)
    #expect(!plot.svg().contains("<script") && plot.svg().ranges(of: "</svg>").count == 1)
    let folder = try TemporaryFolder()
    try plot.write(to: folder["h.svg"])
    #expect(try text(folder["h.svg"]) == plot.svg())
  }
}
